"""A page store in a folder: how its files are written, listed and removed.

A file that is being written lies in ``unfinished/`` and is renamed when it is complete. So a writer
that is killed leaves its file there, where the next writer finds it without a walk through the
pages.

An unfinished file is abandoned when nothing has been written to it for an hour. Its age decides,
not a lock: locks do not reach across machines on every file system. A page is written in less than
a second; should a writer still have been stopped for an hour, it writes its page once more. All
ages are measured with the clock of the file system, because the clocks of two machines differ.

A page that is being removed lies there too, under a name that says which age is too old. Whoever
finds it there does what its remover, who may have been killed, would have done.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from vdr_integrations.pages.store_files import (
    ABANDONED_NS,
    PAGE_NAME,
    SHARD,
    UNFINISHED,
    UNFINISHED_NAME,
    StoreFile,
    inside,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

__all__ = ["FolderFiles"]

_TRIES = 3
"""The folder, or an unfinished file in it, may be deleted while a page is written."""
_ASIDE_NAME = re.compile(r"[0-9a-f]{64}\.aside_(\d+)_[0-9a-f]+\.tmp", re.ASCII)


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """The files below the folder of a store; see ``StoreFiles``.

    Attributes:
        root: The folder; it may not exist yet.
    """

    root: Path

    def path(self, digits: str) -> Path:
        """The path of a page; the file may not exist."""
        return self.root / inside(digits)

    def read(self, digits: str) -> bytes:
        """The file of a page."""
        return self.path(digits).read_bytes()

    def has(self, digits: str) -> bool:
        """Whether there is a regular file of a page."""
        try:
            return stat.S_ISREG(self.path(digits).stat().st_mode)
        except FileNotFoundError:
            return False

    def write(self, digits: str, save: Callable[[IO[bytes]], object]) -> None:
        """Write a page, completely or not at all; an older file of it is replaced."""
        for tries_left in reversed(range(_TRIES)):
            try:
                self._write(digits, save)
            except FileNotFoundError:
                if not tries_left:
                    raise
            else:
                return

    def renew(self, digits: str) -> None:
        """Make a page count as written now, if it is there and may be changed."""
        with suppress(OSError):
            os.utime(self.path(digits))

    def pages(self) -> Iterator[StoreFile]:
        """The pages, in no order; nothing else that lies in the folder."""
        with _listed(self.root) as folders:
            for folder in folders:
                if SHARD.fullmatch(folder.name) and folder.is_dir(follow_symlinks=False):
                    yield from _files(Path(folder.path), PAGE_NAME, of=folder.name)

    def unfinished(self) -> Iterator[StoreFile]:
        """Files that writers have not finished, or never will."""
        yield from _files(self.root / UNFINISHED, UNFINISHED_NAME)

    def now_ns(self) -> int:
        """The time of the file system's clock, nanoseconds since the epoch.

        It is asked without a new file: a full disk has room for none.
        """
        os.utime(self.root)
        return self.root.stat().st_mtime_ns

    def remove_abandoned(self, *, now_ns: int) -> list[StoreFile]:
        """Remove the unfinished files that nobody has written to for an hour.

        The removal of a page that somebody has begun, and who may have been killed, is ended.
        """
        removed: list[StoreFile] = []
        for file in self.unfinished():
            aside = _ASIDE_NAME.fullmatch(Path(file.path).name)
            if aside:
                if self._end_removal(Path(file.path), file.digits, than_ns=int(aside[1])):
                    removed.append(file)
            elif file.modified_ns < now_ns - ABANDONED_NS:
                with suppress(FileNotFoundError):
                    Path(file.path).unlink()
                    removed.append(file)
        return removed

    def remove_if_older(self, pages: Iterable[str], *, than_ns: int) -> list[int]:
        """Remove the pages that were neither written nor renewed since a time.

        A writer may renew a page at any moment. So it is moved out of the way before its age is
        read, and moved back if it has been renewed.
        """
        freed = (self._remove(digits, than_ns) for digits in pages)
        return [size_bytes for size_bytes in freed if size_bytes is not None]

    def _remove(self, digits: str, than_ns: int) -> int | None:
        """Number of freed bytes; None if the page stays, or is gone already."""
        path = self.path(digits)
        name = f"{digits}.aside_{than_ns}_{secrets.token_hex(4)}.tmp"
        aside = self._unfinished_folder() / name
        try:
            before = path.stat()
            if before.st_mtime_ns >= than_ns:
                return None
            path.replace(aside)
        except FileNotFoundError:
            return None
        self._end_removal(aside, digits, than_ns=than_ns)
        return None if path.exists() else before.st_size

    def _end_removal(self, aside: Path, digits: str, *, than_ns: int) -> bool:
        """Whether a page that was moved aside is removed now; if it was renewed, it is put back.

        Another process may do the same at the same time.
        """
        with suppress(FileNotFoundError):
            if aside.stat().st_mtime_ns < than_ns:
                aside.unlink()
                return True
            aside.replace(self.path(digits))
        return False

    def _write(self, digits: str, save: Callable[[IO[bytes]], object]) -> None:
        path = self.path(digits)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=self._unfinished_folder(), prefix=f"{digits}.", suffix=".tmp", delete=False
        ) as file:
            try:
                with suppress(OSError):  # another user's files, perhaps
                    self.remove_abandoned(now_ns=os.fstat(file.fileno()).st_mtime_ns)
                save(file)
                file.flush()
                os.fsync(file.fileno())
                file.close()
                Path(file.name).replace(path)
            except BaseException:
                with suppress(OSError):  # a full disk refuses the rest of the buffer once more
                    file.close()
                with suppress(OSError):
                    Path(file.name).unlink()
                raise

    def _unfinished_folder(self) -> Path:
        folder = self.root / UNFINISHED
        folder.mkdir(exist_ok=True)
        return folder


@contextmanager
def _listed(folder: Path) -> Generator[Iterable[os.DirEntry[str]]]:
    """The entries of a folder; none if there is no such folder."""
    try:
        found = os.scandir(folder)
    except FileNotFoundError:
        yield ()
        return
    with found:
        yield found


def _files(folder: Path, name: re.Pattern[str], *, of: str = "") -> Iterator[StoreFile]:
    """The regular files of a folder that have such a name and begin with ``of``."""
    with _listed(folder) as entries:
        for entry in entries:
            found = name.fullmatch(entry.name)
            if found and entry.name.startswith(of) and entry.is_file(follow_symlinks=False):
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # it was removed, or renamed
                    continue
                yield StoreFile(entry.path, entry.name[:64], status.st_size, status.st_mtime_ns)
