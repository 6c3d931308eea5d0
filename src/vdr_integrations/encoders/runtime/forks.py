"""What a fork does to threads, locks and torch, and how this package survives it.

A forked child has one thread. Locks that other threads held stay locked forever, no thread serves
the queues, and torch's thread pools (OpenMP's) belong to threads that no longer exist: a product in
a thread that had a pool waits forever. The context of a GPU does not work in a child at all.

So a fork waits until this package has finished its computation (:func:`uninterrupted`). A child
gets new locks, pools and queues (:class:`PerProcess`, :func:`renew_after_fork`), and torch runs
there in new threads (``torch_threads``). A model that cannot work in the child raises an error that
says so (:func:`check_usable`).
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from weakref import WeakSet

from vdr_integrations.errors import ForkedProcessError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = [
    "PerProcess",
    "check_usable",
    "gpu_was_in_use",
    "is_forking",
    "renew_after_fork",
    "uninterrupted",
]

T = TypeVar("T")

WAIT_S = 60.0
"""How long a fork waits for a running batch. A page takes seconds on a CPU."""

ADVICE = (
    "Load the model in each process after it has started (gunicorn: without --preload, or in "
    "post_fork; Celery: in worker_process_init), or start processes with "
    "multiprocessing.get_context('spawn')."
)


class _Renewed(Protocol):
    """An object that must be renewed in a forked child."""

    def after_fork(self) -> None:
        """Forget what belongs to the parent's threads; called while there is only one thread."""


class _Work:
    """Counts threads that a fork must not interrupt."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._is_forking = False
        self._own = threading.local()

    def begin(self) -> None:
        depth = getattr(self._own, "depth", 0)
        if depth == 0:
            with self._changed:
                self._changed.wait_for(lambda: not self._is_forking)
                self._running += 1
        self._own.depth = depth + 1

    def end(self) -> None:
        self._own.depth -= 1
        if self._own.depth == 0:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @property
    def is_forking(self) -> bool:
        """Whether no work may begin, because a fork waits or is under way."""
        return self._is_forking

    def stop(self) -> bool:
        """Let no work begin; return whether all running work has ended in time."""
        own = 1 if getattr(self._own, "depth", 0) else 0
        with self._changed:
            self._changed.wait_for(lambda: not self._is_forking)
            self._is_forking = True
            return self._changed.wait_for(lambda: self._running == own, WAIT_S)

    def renew(self) -> None:
        """Called in a child, where no other thread works."""
        self._changed = threading.Condition()
        self._running = 1 if getattr(self._own, "depth", 0) else 0
        self._is_forking = False

    def go_on(self) -> None:
        with self._changed:
            self._is_forking = False
            self._changed.notify_all()


class _State:
    """What is known of this process and its forks.

    Attributes:
        work: Counts running computations.
        was_cut_off: Whether the fork came in the middle of a computation.
        gpu_was_in_use: Whether torch had a context on a GPU.
    """

    def __init__(self) -> None:
        self.work = _Work()
        self.was_cut_off = False
        self.gpu_was_in_use = False
        self._is_quiet = True

    def before(self) -> None:
        self._is_quiet = False  # stays False if the waiting is interrupted
        self._is_quiet = self.work.stop()

    def in_parent(self) -> None:
        self.work.go_on()

    def in_child(self) -> None:
        self.work.renew()
        self.was_cut_off = self.was_cut_off or not self._is_quiet
        torch = sys.modules.get("torch")
        self.gpu_was_in_use = self.gpu_was_in_use or (
            torch is not None and torch.cuda._is_in_bad_fork()  # noqa: SLF001  # is_initialized() is False here
        )
        for renewed in list(_renewed):
            renewed.after_fork()


_renewed: WeakSet[_Renewed] = WeakSet()
_state = _State()
# Handlers run before a fork in the reverse order of their registration. Ours must run first, before
# others lock what thread pools, loggers and downloads need to finish. So import those first.
for _module in ("concurrent.futures.thread", "filelock", "logging"):
    importlib.import_module(_module)
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_state.before,
        after_in_parent=_state.in_parent,
        after_in_child=_state.in_child,
    )


def renew_after_fork(renewed: _Renewed) -> None:
    """Call ``renewed.after_fork()`` in every forked child, as long as the object exists."""
    _renewed.add(renewed)


class PerProcess(Generic[T]):
    """A lock, a pool or a cache of this process; a forked child gets its own.

    Attributes:
        value: The object that ``make`` returned in this process.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        """Make the value."""
        self._make = make
        self.value = make()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Make another value; the parent keeps its own."""
        self.value = self._make()


@contextmanager
def uninterrupted() -> Generator[None]:
    """Let forks wait until the block is done; blocks may be nested."""
    work = _state.work
    work.begin()
    try:
        yield
    finally:
        work.end()


def is_forking() -> bool:
    """Whether a thread of this process forks, or waits until the computations of others end."""
    return _state.work.is_forking


def gpu_was_in_use() -> bool:
    """Whether it was forked from a process that used CUDA, which does not work here any more."""
    return _state.gpu_was_in_use


def check_usable(name: str) -> None:
    """Refuse to compute if the fork came in the middle of a computation.

    Raises:
        ForkedProcessError: torch's own locks may be locked forever in this process.
    """
    if _state.was_cut_off:
        raise ForkedProcessError(
            f"{name} cannot be used: this process was forked while its parent was computing "
            f"vectors, for longer than {WAIT_S:.0f} s, and torch may hang here. {ADVICE}"
        )
