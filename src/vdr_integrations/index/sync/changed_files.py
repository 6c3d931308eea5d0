"""Has a file changed since it was indexed?"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Literal

from vdr_integrations.errors import DocumentOpenError
from vdr_integrations.index.records import NO_FILE, FileState
from vdr_integrations.pages.file_limits import DEFAULT_RENDER_LIMITS
from vdr_integrations.pages.read_file import open_regular

__all__ = [
    "RACE_NS",
    "UnreadableFileError",
    "read_file_state",
    "surely_unchanged",
    "what_became_of",
]

RACE_NS = 2_000_000_000
"""Two writes within one tick of the file system's clock share a modification time; FAT's tick,
the coarsest in use, is 2 seconds."""


class UnreadableFileError(DocumentOpenError):
    """A file may be as it was, but cannot be read now."""


def read_file_state(path: Path) -> FileState:
    """Read the whole file and return its state.

    Size and time are read before the bytes, so that a file that changes meanwhile looks changed
    the next time.

    Raises:
        UnreadableFileError: The system does not let it be read.
        DocumentOpenError: It is no regular file, or larger than a document may be.
        ResourceError: This machine cannot open more files.
    """
    checked_ns = time.time_ns()
    with open_regular(
        path,
        source_name=path.as_posix(),
        max_file_bytes=DEFAULT_RENDER_LIMITS.max_file_bytes,
        error=DocumentOpenError,
        unreadable=UnreadableFileError,
    ) as (file, status):
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileState(
        sha256=digest,
        size_bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
        checked_ns=checked_ns,
    )


def surely_unchanged(path: Path, known: FileState) -> bool:
    """Whether size and modification time alone show that the file is unchanged.

    False means that its bytes have to be read. It is also False if the file was written so shortly
    before the last check that a later write could have the same modification time.

    Raises:
        OSError: The file's status cannot be read.
    """
    status = path.stat()
    return (
        status.st_size == known.size_bytes
        and status.st_mtime_ns == known.modified_ns
        and known.modified_ns + RACE_NS < known.checked_ns
        # Another file may have been moved to its place; Windows keeps the time of creation there.
        and (os.name == "nt" or status.st_ctime_ns + RACE_NS < known.checked_ns)
    )


def what_became_of(
    source: str, known: FileState
) -> Literal["changed", "gone", "unreadable"] | None:
    """What happened to a file; None if it has the same content, or was never a file."""
    path = Path(source)
    if known.sha256 == NO_FILE.sha256 or not path.is_absolute():
        return None
    try:
        if surely_unchanged(path, known) or read_file_state(path).sha256 == known.sha256:
            return None
    except (FileNotFoundError, NotADirectoryError):
        return "gone"
    except (OSError, UnreadableFileError):
        return "unreadable"
    except DocumentOpenError:
        return "changed"  # into a folder, a device, or something too large
    return "changed"
