"""Where copies of documents lie while they are indexed; those of a killed process are removed."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["folder_of_copies"]

_PREFIX = "vdr-documents-"
_LOCK = "in-use.lock"


@contextmanager
def folder_of_copies() -> Generator[Path]:
    """An empty folder among the temporary files of this machine, removed at the end.

    Folders that killed processes have left there are removed too: nobody holds their lock.
    """
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{_PREFIX}*"):
        lock = filelock.FileLock(left / _LOCK)
        try:
            lock.acquire(timeout=0)
        except (filelock.Timeout, OSError):  # it is in use, of another user, or gone
            continue
        shutil.rmtree(left, ignore_errors=True)
        lock.release()
    # The name is one that nobody looks for until the lock is held.
    made = Path(tempfile.mkdtemp(prefix=f"new-{_PREFIX}"))
    lock = filelock.FileLock(made / _LOCK)
    with lock:
        folder = made.rename(made.with_name(made.name.removeprefix("new-")))
        try:
            (folder / "copies").mkdir()
            yield folder / "copies"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
