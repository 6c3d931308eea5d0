"""Which files are documents, by their names; by their first bytes if the name says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import DocumentOpenError
from vdr_integrations.pages.file_kind import FIRST_BYTES, kind_of
from vdr_integrations.pages.file_limits import DEFAULT_RENDER_LIMITS
from vdr_integrations.pages.read_file import open_regular

if TYPE_CHECKING:
    from pathlib import Path, PurePath

    from vdr_integrations.pages.file_kind import FileKind

__all__ = ["DOCUMENT_SUFFIXES", "document_kind", "first_bytes", "named_kind"]

_PDF_SUFFIX = ".pdf"
_BLANKS = b"\xef\xbb\xbf\0 \t\r\n"
_IMAGE_SUFFIXES = frozenset(
    {
        ".png",
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif"),
        ".webp",
        *(".tif", ".tiff"),
        ".bmp",
        ".gif",
    },
)


DOCUMENT_SUFFIXES = frozenset({_PDF_SUFFIX, *_IMAGE_SUFFIXES})
"""Suffixes of the files that folders list, in lower case."""


def document_kind(path: Path) -> FileKind | None:
    """The kind of document that a file in a folder is; None if it is none.

    The suffix decides, ignoring case. A file without any suffix is what its first bytes say; if
    they cannot be read, it is no document.

    Raises:
        ResourceError: This machine cannot open more files.
    """
    if path.suffix:
        return named_kind(path)
    try:
        beginning = first_bytes(path, source_name=str(path))
    except DocumentOpenError:
        return None
    kind = kind_of(beginning)
    if kind == "pdf" and not beginning.lstrip(_BLANKS).startswith(b"%PDF-"):
        return None  # a text about PDFs
    return kind


def named_kind(path: PurePath) -> FileKind | None:
    """The kind of document that a suffix stands for, ignoring case; None for any other suffix."""
    suffix = path.suffix.lower()
    if suffix == _PDF_SUFFIX:
        return "pdf"
    return "image" if suffix in _IMAGE_SUFFIXES else None


def first_bytes(path: Path, *, source_name: str) -> bytes:
    """What :func:`kind_of` needs of a file.

    Raises:
        DocumentOpenError: It is no regular file, is too large, or cannot be read.
        ResourceError: This machine cannot open more files.
    """
    with open_regular(
        path,
        source_name=source_name,
        max_file_bytes=DEFAULT_RENDER_LIMITS.max_file_bytes,
        error=DocumentOpenError,
    ) as (file, _):
        return file.read(FIRST_BYTES)
