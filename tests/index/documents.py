"""Small PDFs and images for tests, and an encoder that counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymupdf
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy as np
    import pytest
    from numpy.typing import NDArray

    from vdr_integrations import DenseEncoder
    from vdr_integrations.types import PageInput

_AES_256 = 5
"""``pymupdf.PDF_ENCRYPT_AES_256``, which type checkers cannot see."""


def write_pdf(path: Path, texts: Sequence[str], *, password: str | None = None) -> Path:
    """A PDF with one page for each text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = pymupdf.open()
    for text in texts:
        page = document.new_page(width=200, height=280)
        page.insert_text((20, 60), text, fontsize=24)
    options: dict[str, Any] = {}
    if password is not None:
        options = {"encryption": _AES_256, "user_pw": password}
    document.save(path, **options)
    document.close()
    return path


def write_png(path: Path, colour: str) -> Path:
    """An image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 80), colour).save(path)
    return path


def write_pdf_with_a_bad_page(path: Path) -> Path:
    """Three pages, of which the second is absurdly long."""
    document = pymupdf.open()
    for number in range(1, 4):
        page = document.new_page(width=200, height=280)
        page.insert_text((20, 60), f"page {number}", fontsize=24)
    document.xref_set_key(document[1].xref, "MediaBox", "[0 0 200 99999999]")
    document.save(path)
    document.close()
    return path


class PageCounter:
    """Counts the pages that go through an encoder from now on."""

    def __init__(self, encoder: DenseEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        self._encode = encoder.encode_pages
        monkeypatch.setattr(encoder, "encode_pages", self._counted)

    @property
    def pages(self) -> int:
        return sum(self.batches)

    def _counted(self, pages: Iterable[PageInput]) -> NDArray[np.float32]:
        listed = list(pages)
        self.batches.append(len(listed))
        return self._encode(listed)
