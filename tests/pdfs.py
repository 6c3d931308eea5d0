"""PDFs that the tests make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymupdf

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_AES_256 = 5  # pymupdf.PDF_ENCRYPT_AES_256, which type checkers do not see

__all__ = ["encrypt_pdf", "write_pdf"]


def write_pdf(path: Path, texts: Sequence[str]) -> Path:
    """A PDF with one page for each text; an empty text makes a blank page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pymupdf.open() as document:
        for text in texts:
            page = document.new_page(width=300, height=200)
            page.insert_text((20, 60), text, fontsize=24)
        document.save(path)
    return path


def encrypt_pdf(path: Path, *, password: str) -> Path:
    """A copy that opens with ``password`` only."""
    encrypted = path.with_name(f"encrypted-{path.name}")
    with pymupdf.open(path) as document:
        document.save(encrypted, encryption=_AES_256, user_pw=password, owner_pw="owner")
    return encrypted
