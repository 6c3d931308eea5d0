"""PDFs that the tests make."""

from __future__ import annotations

import functools
import zlib
from collections import Counter
from typing import TYPE_CHECKING

import pymupdf

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

_AES_256 = 5  # pymupdf.PDF_ENCRYPT_AES_256, which type checkers do not see

__all__ = ["count_loads", "encrypt_pdf", "hang_on_page", "write_pdf"]


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


def hang_on_page(path: Path, page_number: int) -> Path:
    """Let MuPDF be busy with a page for half an hour: 40 GB of nothing drawn, in 50 KB."""
    with pymupdf.open(path) as document:
        (contents,) = document[page_number - 1].get_contents()
        document.update_stream(contents, _nothing_for_half_an_hour(), compress=False)
        document.xref_set_key(contents, "Filter", "[/FlateDecode /FlateDecode]")
        document.saveIncr()
    return path


@functools.cache
def _nothing_for_half_an_hour() -> bytes:
    nothing = zlib.compressobj()
    start = nothing.compress(b"q Q " * 1_000_000) + nothing.flush(zlib.Z_FULL_FLUSH)
    again = nothing.compress(b"q Q " * 1_000_000) + nothing.flush(zlib.Z_FULL_FLUSH)
    return zlib.compress(start + 10_000 * again)


def count_loads(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often MuPDF loads each page, by page number, from now on."""
    loads: Counter[int] = Counter()
    load_page = pymupdf.Document.load_page

    def counted(document: pymupdf.Document, position: int) -> pymupdf.Page:
        loads[position + 1] += 1
        return load_page(document, position)

    monkeypatch.setattr(pymupdf.Document, "load_page", counted)
    return loads
