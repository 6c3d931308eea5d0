"""Pages that are drawn with a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymupdf

from vdr_integrations.pages.pdf.damage import BAD_PICTURE

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["WARNING", "spoil_a_picture"]

WARNING = BAD_PICTURE


def spoil_a_picture(path: Path, page_number: int) -> Path:
    """Put a picture that cannot be decoded on a page of a PDF, beside what it has."""
    with pymupdf.open(path) as document:
        pixels = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 20, 20))
        xref = document[page_number - 1].insert_image((200, 100, 260, 160), pixmap=pixels)
        document.update_stream(xref, b"no JPEG at all " * 9, compress=False)
        document.xref_set_key(xref, "Filter", "/DCTDecode")
        document.xref_set_key(xref, "DecodeParms", "null")
        document.saveIncr()
    return path
