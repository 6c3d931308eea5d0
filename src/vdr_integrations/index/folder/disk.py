"""What is written beside the database: growing files, whole new files, and leftovers taken away.

Everything is on the disk (``fsync``) when these functions return; the commit in the database comes
afterwards and names what counts.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.folder.file_format import FILE_SUFFIXES
from vdr_integrations.index.folder.troubles import os_trouble

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["append", "map_file", "remove_leftovers", "write_whole"]


def append(
    folder: Path, name: str, parts: Iterable[bytes | NDArray[np.uint8]], *, used_bytes: int
) -> int:
    """Put bytes behind the first ``used_bytes`` of a file; what lies there is left over.

    Returns:
        The new length.

    Raises:
        IndexStoreError: The file system refuses.
        ResourceError: Too many open files.
    """
    try:
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | _BINARY, 0o666)
        try:
            # Never below what was committed: readers have that much mapped.
            os.ftruncate(descriptor, used_bytes)
            os.lseek(descriptor, used_bytes, os.SEEK_SET)
            end = used_bytes + sum(_write(descriptor, part) for part in parts)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if used_bytes == 0:
            _sync_folder(folder)
    except OSError as error:
        raise os_trouble(error, folder) from error
    return end


def write_whole(folder: Path, name: str, parts: Iterable[bytes | NDArray[np.uint8]]) -> int:
    """Make a file that no commit names yet; its length.

    Raises:
        IndexStoreError: The file system refuses.
        ResourceError: Too many open files.
    """
    return append(folder, name, parts, used_bytes=0)


def map_file(folder: Path, name: str, *, used_bytes: int) -> NDArray[np.uint8]:
    """The file in memory: uint8 (used bytes,), or fewer where some are missing. Copied on write.

    Raises:
        FileNotFoundError: There is no such file.
        IndexStoreError: The file system refuses.
        ResourceError: Too many open files.
    """
    try:
        size = min(used_bytes, (folder / name).stat().st_size)
        if not size:
            return np.empty(0, np.uint8)
        # A plain array: a memmap is slow to cut.
        return np.asarray(np.memmap(folder / name, np.uint8, mode="c", shape=(size,)))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise os_trouble(error, folder) from error


def remove_leftovers(folder: Path, *, keep: set[str]) -> None:
    """Take away files of killed writers and of states that are gone; for a writer alone.

    What cannot be taken away now (another process has it open, on Windows) waits for the next one.
    """
    with suppress(OSError):
        for entry in folder.iterdir():
            if entry.name.endswith(FILE_SUFFIXES) and entry.name not in keep:
                with suppress(OSError):
                    entry.unlink()


_BINARY = getattr(os, "O_BINARY", 0)


def _write(descriptor: int, part: bytes | NDArray[np.uint8]) -> int:
    view = memoryview(part if isinstance(part, bytes) else part.data)
    done = 0
    while done < len(view):
        done += os.write(descriptor, view[done:])
    return done


def _sync_folder(folder: Path) -> None:
    """The folder's own entries, so that a new file has its name after a power cut."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
