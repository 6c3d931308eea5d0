"""Files beside the database: append to them, make new ones, and delete leftovers.

Everything is on the disk (``fsync``) when these functions return. The commit in the database comes
afterwards and names the bytes that count.
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
    """Write bytes behind the first ``used_bytes`` of a file; bytes that lie there are leftovers.

    Returns:
        The new length of the file.

    Raises:
        IndexStoreError: The file system refuses.
        ResourceError: Too many open files.
    """
    try:
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | _BINARY, 0o666)
        try:
            # Never shorter than what was committed: readers have mapped that much.
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
    """Make a file that no commit names yet; returns its length.

    Raises:
        IndexStoreError: The file system refuses.
        ResourceError: Too many open files.
    """
    return append(folder, name, parts, used_bytes=0)


def map_file(folder: Path, name: str, *, used_bytes: int) -> NDArray[np.uint8]:
    """Map a file: uint8 (used bytes,), copied on write; shorter if bytes are missing.

    Raises:
        FileNotFoundError: The file does not exist.
        IndexStoreError: The file system refuses.
        ResourceError: Too many open files.
    """
    try:
        size = min(used_bytes, (folder / name).stat().st_size)
        if not size:
            return np.empty(0, np.uint8)
        # A plain array, because slices of a memmap are slow.
        return np.asarray(np.memmap(folder / name, np.uint8, mode="c", shape=(size,)))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise os_trouble(error, folder) from error


def remove_leftovers(folder: Path, *, keep: set[str]) -> None:
    """Delete files of killed writers and of replaced states. Only a writer may call this.

    A file that cannot be deleted now (on Windows, if another process has it open) stays until the
    next call.
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
    """Write the entries of the folder to the disk, so that a new file survives a power cut."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
