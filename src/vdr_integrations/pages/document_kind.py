"""Which files are documents, by their names; by their first bytes if the name says nothing."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from vdr_integrations.pages.file_kind import FIRST_BYTES, kind_of
from vdr_integrations.pages.read_file import refuse_shortage

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.pages.file_kind import FileKind

__all__ = ["document_kind"]

_PDF_SUFFIX = ".pdf"
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


def document_kind(path: Path) -> FileKind | None:
    """The kind of document that a file is; None if it is none.

    The suffix decides, ignoring case. A file without any suffix is what its first bytes say; if
    they cannot be read, it is no document.

    Raises:
        ResourceError: This machine cannot open more files.
    """
    suffix = path.suffix.lower()
    if suffix == _PDF_SUFFIX:
        return "pdf"
    if suffix in _IMAGE_SUFFIXES:
        return "image"
    return None if suffix else kind_of(_first_bytes(path))


def _first_bytes(path: Path) -> bytes:
    """The first bytes of a regular file; none of any other. It never waits for a writer."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b""
        # Another file may have taken its place since: a FIFO would wait without O_NONBLOCK.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return b""
            return os.read(descriptor, FIRST_BYTES)
        finally:
            os.close(descriptor)
    except OSError as problem:
        refuse_shortage(problem, source_name=str(path))
        return b""
