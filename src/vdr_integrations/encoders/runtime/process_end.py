"""Threads that compute leave torch before Python takes itself apart.

When a process ends, Python ends each daemon thread at its next step. Inside torch's C++ or a Rust
library this is not allowed, and the whole process dies of SIGABRT. So the end of a process waits
until the threads of this package are out of such code. Their work is broken off where it returns to
Python, between two layers of a model.
"""

from __future__ import annotations

import atexit
import ctypes
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from vdr_integrations.encoders.runtime.forks import WAIT_S
from vdr_integrations.errors import EncodingError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = [
    "ProcessEndsError",
    "do_orders",
    "idle",
    "leave_at_the_end",
    "refuse",
    "refuse_at_the_end",
    "start_thread",
    "stop_at_the_end",
]

_LOOK_AGAIN_S = 0.01
_LONGEST_START_S = 1.0
_starting = threading.Lock()


class ProcessEndsError(BaseException):
    """Breaks off the work of a thread of this package; those who wait for it get SystemExit."""


class _State:
    """What is known of the end of this process.

    There is no lock: work that is broken off could not release it. Single steps on a dict are safe.

    Attributes:
        is_ending: Whether no more work may begin.
        busy: The threads that compute.
        is_registered: Whether the end of this process waits for them.
    """

    def __init__(self) -> None:
        self.is_ending = False
        self.busy: dict[threading.Thread, None] = {}
        self.is_registered = False


_state = _State()


def leave_at_the_end() -> None:
    """Let the end of the process wait for threads that compute; call it before one is started.

    Not at import: what torch does at the end of a process must come later than this.
    """
    if not _state.is_registered:
        _state.is_registered = True
        atexit.register(_wait_for_threads)


def refuse_at_the_end() -> None:
    """Refuse a caller's work while the process ends.

    Raises:
        EncodingError: In the main thread.
        SystemExit: In other threads, which end with the process. Python prints nothing.
    """
    if _state.is_ending:
        refuse()


def refuse() -> NoReturn:
    """Refuse a caller's work because the process ends; see :func:`refuse_at_the_end`.

    Raises:
        EncodingError: In the main thread.
        SystemExit: In other threads.
    """
    if threading.current_thread() is not threading.main_thread():
        raise SystemExit
    raise EncodingError(
        "the Python process is ending, so nothing can be computed any more. Encode and search "
        "before the end of the program, not in functions that atexit calls."
    )


def start_thread(thread: threading.Thread) -> None:
    """Start a thread that computes."""
    with _no_thread_starts():
        thread.start()


def stop_at_the_end() -> None:
    """Stop an order while the process ends; orders call it before they use torch.

    Raises:
        ProcessEndsError: The process is ending.
    """
    if _state.is_ending:
        raise ProcessEndsError


def do_orders(next_order: Callable[[], Callable[[], None]]) -> NoReturn:
    """Do orders for ever; the whole life of a daemon thread that computes.

    An order raises only ProcessEndsError, after it has told who waits for it.
    """
    while True:
        with suppress(ProcessEndsError):  # it may arrive late, also between two orders
            _do_some(next_order)


def _do_some(next_order: Callable[[], Callable[[], None]]) -> NoReturn:
    own = threading.current_thread()
    while True:
        with suppress(ProcessEndsError):
            _state.busy.pop(own, None)
            order = next_order()
            _state.busy[own] = None
            order()
            del order


@contextmanager
def idle() -> Generator[None]:
    """Let the process end during the block: this thread, which has an order, waits for more work.

    Raises:
        ProcessEndsError: The process is ending.
    """
    own = threading.current_thread()
    _state.busy.pop(own, None)
    yield
    _state.busy[own] = None
    stop_at_the_end()


def _wait_for_threads() -> None:
    _state.is_ending = True
    until = time.monotonic() + WAIT_S
    asked: dict[threading.Thread, float] = {}
    while time.monotonic() < until:
        try:
            # A forked child has copies of its parent's threads, which are not alive.
            working = [thread for thread in list(_state.busy) if thread.is_alive()]
            if not working:
                return
            for thread in working:
                if time.monotonic() >= asked.get(thread, 0.0):
                    # Once may not be enough: a library may hold it for an error of its own.
                    asked[thread] = time.monotonic() + 1.0
                    _break_off(thread)
            time.sleep(_LOOK_AGAIN_S)
        except KeyboardInterrupt:  # the process ends already
            continue


def _break_off(thread: threading.Thread) -> None:
    with _no_thread_starts():
        if thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(ProcessEndsError)
            )


@contextmanager
def _no_thread_starts() -> Generator[None]:
    """Let no thread start meanwhile: at first it has the number of the thread that starts it."""
    # Not for ever: a thread that is broken off, or a fork, may leave the lock as it is.
    is_held = _starting.acquire(timeout=_LONGEST_START_S)
    try:
        yield
    finally:
        if is_held:
            _starting.release()
