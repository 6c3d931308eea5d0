"""What a file is, told by its first bytes. Pure."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["FIRST_BYTES", "FileKind", "kind_of"]

FileKind = Literal["pdf", "image"]

FIRST_BYTES = 1024
"""PDF readers look for the header in this many bytes (ISO 32000-1, annex H, note 13)."""

_IMAGE = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF....WEBP|II[*+]\0|MM\0[*+]|GIF8[79]a"
    rb"|BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0",  # a BMP: the sizes of its headers
    re.DOTALL,
)
_PDF = b"%PDF-"


def kind_of(first_bytes: bytes) -> FileKind | None:
    """What a file is that begins with these bytes; None if it is neither a PDF nor an image.

    Args:
        first_bytes: The first 1,024 bytes, or all if the file is shorter.
    """
    if _IMAGE.match(first_bytes):
        return "image"
    return "pdf" if _PDF in first_bytes[:FIRST_BYTES] else None
