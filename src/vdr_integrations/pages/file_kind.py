"""What kind of file some bytes begin. Pure."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

__all__ = ["FIRST_BYTES", "FileKind", "kind_of"]

FileKind: TypeAlias = Literal["pdf", "image"]

FIRST_BYTES = 1024
"""How many bytes of a file decide its kind. The header of a PDF may follow other bytes."""

_PDF = re.compile(rb"%PDF-")
_IMAGES = (
    re.compile(rb"\x89PNG\r\n\x1a\n"),
    re.compile(rb"\xff\xd8\xff"),  # JPEG
    re.compile(rb"RIFF....WEBP", re.DOTALL),
    re.compile(rb"II[*+]\0|MM\0[*+]"),  # TIFF
    re.compile(rb"GIF8[79]a"),
    # BMP: many texts begin with "BM"; the length of the second header is one of these.
    re.compile(rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL),
)


def kind_of(first_bytes: bytes) -> FileKind | None:
    """The kind of a file; None for a file that is neither a PDF nor an image that is read.

    Args:
        first_bytes: The first :data:`FIRST_BYTES` bytes of the file, or more; or the whole file.
    """
    if any(image.match(first_bytes) for image in _IMAGES):
        return "image"
    return "pdf" if _PDF.search(first_bytes, 0, FIRST_BYTES) else None
