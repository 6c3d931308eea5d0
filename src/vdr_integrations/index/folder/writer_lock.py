"""The lock for writers: one process and one thread at a time."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import filelock

from vdr_integrations.encoders.runtime.forks import PerProcess
from vdr_integrations.errors import IndexLockedError
from vdr_integrations.index.folder.file_format import HOLDER_NAME, LOCK_NAME
from vdr_integrations.index.folder.troubles import not_there, os_trouble

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["WriterLock"]

_POLL_S = 0.05


class WriterLock:
    """The lock of a folder. A thread that holds it may take it again."""

    def __init__(self, folder: Path) -> None:
        """Nothing is locked yet."""
        self._folder = folder

    @contextmanager
    def held(self, *, wait_s: float) -> Generator[None]:
        """Keep other writers out.

        Args:
            wait_s: How long to wait for another writer.

        Raises:
            IndexLockedError: It was still writing after that time; the message names it.
            IndexNotFoundError: The folder is gone.
            IndexStoreError: The folder cannot be written.
        """
        own = _of_folder(self._folder)
        if not own.threads.acquire(timeout=wait_s):
            raise IndexLockedError(
                f"another thread of this process is writing to index {self._folder}; wait for it "
                f"to end, then try again."
            )
        try:
            own.depth += 1
            if own.depth == 1:
                self._take(own, wait_s)
            try:
                yield
            finally:
                if own.depth == 1:
                    self._let_go(own)
        finally:
            own.depth -= 1
            own.threads.release()

    def _take(self, own: _Own, wait_s: float) -> None:
        if not self._folder.is_dir():  # the lock would make the folder again
            raise not_there(self._folder)
        try:
            own.file.acquire(timeout=wait_s, poll_interval=_POLL_S)
        except filelock.Timeout as error:
            raise IndexLockedError(
                f"{self._holder()} is writing to index {self._folder}; wait for it to end, then "
                f"try again (vdr index --wait SECONDS waits by itself)."
            ) from error
        except OSError as error:
            raise os_trouble(error, self._folder) from error
        holder = {"pid": os.getpid(), "host": socket.gethostname()}
        with suppress(OSError):  # it is only for messages of others
            (self._folder / HOLDER_NAME).write_text(json.dumps(holder))

    def _let_go(self, own: _Own) -> None:
        with suppress(OSError):
            (self._folder / HOLDER_NAME).unlink()
        own.file.release()

    def _holder(self) -> str:
        try:
            found = json.loads((self._folder / HOLDER_NAME).read_text())
            where = "" if found["host"] == socket.gethostname() else f" on {found['host']}"
            return f"process {found['pid']}{where}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


class _Own:
    """The lock of a folder in this process; all objects of the folder share it."""

    def __init__(self, folder: Path) -> None:
        self.threads = threading.RLock()
        self.depth = 0
        self.file = filelock.FileLock(folder / LOCK_NAME, thread_local=False)


def _of_folder(folder: Path) -> _Own:
    place = folder.resolve()
    with _making.value:
        found = _owns.value.get(place)
        if found is None:
            found = _owns.value[place] = _Own(place)
        return found


_making = PerProcess(threading.Lock)
_owns: PerProcess[WeakValueDictionary[Path, _Own]] = PerProcess(WeakValueDictionary)
"""A forked child has its own, because it does not hold the locks of its parent."""
