"""A thread that looks at processes while they work."""

from __future__ import annotations

import threading
import time
from typing import Protocol

__all__ = ["forget_after_fork", "watched"]

_LOOK_EVERY_S = 0.25


class _Watched(Protocol):
    def look(self, now: float) -> None:
        """End the process if it has done too much; called in another thread."""
        ...


class _Watch:
    """Looks at processes four times a second, and sleeps while none of them works."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._working: set[_Watched] = set()
        self._is_asleep = True
        self._thread: threading.Thread | None = None

    def add(self, process: _Watched) -> None:
        with self._changed:
            self._working.add(process)
            if self._thread is None:
                thread = threading.Thread(target=self._look, name="vdr-watch", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    self._working.discard(process)
                    raise
                self._thread = thread
            if self._is_asleep:
                self._changed.notify()

    def remove(self, process: _Watched) -> None:
        with self._changed:
            self._working.discard(process)

    def _look(self) -> None:
        while True:
            with self._changed:
                if not self._working:
                    self._is_asleep = True
                    self._changed.wait()
                self._is_asleep = False
                self._changed.wait(_LOOK_EVERY_S)
                now = time.monotonic()
                # Under the lock: whoever has been removed is not looked at any more.
                for process in self._working:
                    process.look(now)


_watch = _Watch()


class watched:  # noqa: N801  # a context manager; contextlib's take longer than what they guard
    """Looks at a process while it works in the block."""

    def __init__(self, process: _Watched) -> None:
        """Look at this process."""
        self._process = process
        self._watch = _watch

    def __enter__(self) -> None:
        """Begin to look."""
        self._watch.add(self._process)

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._watch.remove(self._process)


def forget_after_fork() -> None:
    """In a forked process, where the thread does not exist."""
    global _watch  # noqa: PLW0603  # one for each process
    _watch = _Watch()
