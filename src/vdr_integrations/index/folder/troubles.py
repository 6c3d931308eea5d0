"""Errors of an index: the operating system refuses, or its files contradict each other."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING

from vdr_integrations.errors import (
    IndexFormatError,
    IndexLockedError,
    IndexNotFoundError,
    IndexStoreError,
    ResourceError,
    VdrError,
)
from vdr_integrations.index.folder.file_format import DATABASE_NAME

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["altered", "damaged", "not_there", "os_trouble", "sqlite_trouble"]

_SHORTAGES = {
    errno.EMFILE: "this process has too many open files",
    errno.ENFILE: "this machine has too many open files",
    errno.ENOMEM: "there is not enough memory",
}
_FILES_NEEDED = 8
"""Files that one call opens at once: database, journal, folder, a file of vectors, and others."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def os_trouble(error: OSError, folder: Path) -> VdrError:
    """The error if the operating system refuses to let this process use an index."""
    reason = error.strerror or type(error).__name__
    if error.errno in _SHORTAGES:
        return ResourceError(
            f"index {folder} cannot be used now: {_SHORTAGES[error.errno]} ({reason}). Close "
            f"some, or raise the limit; the index itself is fine."
        )
    if error.errno in _FULL:
        return IndexStoreError(
            f"index {folder} cannot be written: the disk is full ({reason}). Make room, then try "
            f"again; what was committed is safe."
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return IndexStoreError(
            f"index {folder} cannot be used: no permission ({reason}). Check the permissions of "
            f"the folder: a search must be able to read it, and a writer must be able to write it."
        )
    return IndexStoreError(
        f"index {folder} cannot be used: the file system reports {reason!r}. Check the disk; what "
        f"was committed is unchanged."
    )


def sqlite_trouble(error: sqlite3.Error, folder: Path) -> VdrError:
    """The error if the database of an index cannot be used."""
    # Extended codes keep the primary code in the low byte.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return IndexLockedError(
            f"another process keeps index {folder} busy; wait for it to end, then try again."
        )
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}:
        return damaged(folder, str(error))
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        return _not_opened(folder)
    number = {
        sqlite3.SQLITE_FULL: errno.ENOSPC,
        sqlite3.SQLITE_NOMEM: errno.ENOMEM,
        sqlite3.SQLITE_IOERR: errno.EIO,
    }.get(code)
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_NOMEM:
        number = errno.ENOMEM
    if number is None:
        return IndexStoreError(f"index {folder} cannot be used ({error}).")
    return os_trouble(OSError(number, os.strerror(number)), folder)


def _not_opened(folder: Path) -> VdrError:
    """The error if SQLite cannot open a file. The operating system is asked for the reason.

    The database itself is not opened for that: to close it would release the locks that other
    threads of this process hold on it.
    """
    try:
        names = {entry.name for entry in folder.iterdir()}
        _open_a_few()
    except FileNotFoundError:
        return not_there(folder)
    except OSError as error:
        return os_trouble(error, folder)
    if DATABASE_NAME not in names:
        return not_there(folder)
    if not os.access(folder / DATABASE_NAME, os.R_OK):
        return os_trouble(OSError(errno.EACCES, os.strerror(errno.EACCES)), folder)
    if not (os.access(folder, os.W_OK) and os.access(folder / DATABASE_NAME, os.W_OK)):
        return os_trouble(OSError(errno.EACCES, "it is read-only"), folder)
    return IndexStoreError(
        f"index {folder} cannot be used now: the system refused to open or make a file, but would "
        f"allow it now. Try again; what was committed is safe."
    )


def _open_a_few() -> None:
    """Fail if the process cannot open a few more files."""
    found: list[int] = []
    try:
        for _ in range(_FILES_NEEDED):
            found.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401  # closed if one fails
    finally:
        for descriptor in found:
            os.close(descriptor)


def not_there(folder: Path) -> IndexNotFoundError:
    """The error of a folder without an index."""
    return IndexNotFoundError(f"there is no index in {folder}; make one first (vdr index).")


def damaged(folder: Path, finding: str) -> IndexFormatError:
    """The error of an index whose files contradict each other."""
    return IndexFormatError(
        f"index {folder} is damaged ({finding}). Keep the folder, and run vdr verify on it to see "
        f"what can still be read. Index unreadable documents again into a new folder."
    )


def altered(folder: Path, where: str, what: str) -> IndexFormatError:
    """The error of one document or page that is not what was written."""
    return IndexFormatError(
        f"index {folder} is damaged at {where} ({what}). Other documents can be used: remove this "
        f"one (vdr rm) and index it again."
    )
