"""What kind of file some bytes begin. Pure."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

__all__ = ["FIRST_BYTES", "NEITHER", "FileKind", "is_tiff", "kind_of"]

FileKind: TypeAlias = Literal["pdf", "image"]

FIRST_BYTES = 1024
"""How many bytes of a file decide its kind. The header of a PDF may follow other bytes."""

_PDF = re.compile(rb"%PDF-")
_TIFF = re.compile(rb"II[*+]\0|MM\0[*+]")
_IMAGES = (
    re.compile(rb"\x89PNG\r\n\x1a\n"),
    re.compile(rb"\xff\xd8\xff"),  # JPEG
    re.compile(rb"RIFF....WEBP", re.DOTALL),
    _TIFF,
    re.compile(rb"GIF8[79]a"),
    # BMP: many texts begin with "BM"; the length of the second header is one of these.
    re.compile(rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL),
)


NEITHER = (
    "it is neither a PDF nor a picture: it begins with no header of a PDF, PNG, JPEG, WebP, TIFF, "
    "BMP or GIF. Convert it to one of these, or leave it out."
)
"""What is wrong with a file that is no document, whatever its name says."""


def kind_of(first_bytes: bytes) -> FileKind | None:
    """The kind of a file; None for a file that is neither a PDF nor an image that is read.

    Args:
        first_bytes: The first :data:`FIRST_BYTES` bytes of the file, or more; or the whole file.
    """
    if any(image.match(first_bytes) for image in _IMAGES):
        return "image"
    return "pdf" if _PDF.search(first_bytes, 0, FIRST_BYTES) else None


def is_tiff(first_bytes: bytes) -> bool:
    """Whether a file is a TIFF or BigTIFF, which may have several pages."""
    return _TIFF.match(first_bytes) is not None
