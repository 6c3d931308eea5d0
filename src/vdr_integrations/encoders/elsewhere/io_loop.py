"""One event loop of this process, in a thread of its own, for calls to servers."""

from __future__ import annotations

import asyncio
import atexit
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from vdr_integrations.encoders.runtime.forks import PerProcess
from vdr_integrations.encoders.runtime.process_end import refuse
from vdr_integrations.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["in_io_loop"]

T = TypeVar("T")
Arguments = ParamSpec("Arguments")

_LAST_STEP_S = 60.0
"""How long the end of a process waits for the loop; packing a window of pages takes less."""


class _IoLoop:
    """The loop and its thread; both live as long as the process."""

    def __init__(self) -> None:
        self._starting = threading.RLock()  # what is freed meanwhile may close its connections
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_parked = False

    def get(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._is_parked:
                refuse()
            if self._loop is None:
                loop = asyncio.new_event_loop()
                loop.set_default_executor(_HelpingThreads(thread_name_prefix="vdr-io"))
                thread = threading.Thread(target=loop.run_forever, name="vdr-io", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    loop.close()
                    raise ResourceError(
                        f"this machine starts no more threads ({error}). Raise the limit (ulimit "
                        f"-u, or the container's), or run fewer threads."
                    ) from error
                self._loop = loop
                atexit.register(self._park, loop, thread)
            return self._loop

    def _park(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        """Let the loop stand still where it is safe: Python ends its thread at the next step.

        Inside a Rust library, such as safetensors, the process would die of SIGABRT.
        """
        if not thread.is_alive():  # it belongs to the process that this one was forked from
            return
        self._is_parked = True
        stands_still = threading.Event()

        def stand_still() -> None:
            stands_still.set()
            threading.Event().wait()

        loop.call_soon_threadsafe(stand_still)
        stands_still.wait(_LAST_STEP_S)


class _HelpingThreads(ThreadPoolExecutor):
    """Threads that also work when the main thread has ended, and others go on."""

    def submit(
        self, fn: Callable[Arguments, T], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[T]:
        """See ``Executor``."""
        try:
            return super().submit(fn, *args, **kwargs)
        except RuntimeError:  # the pools of Python take nothing more
            future: Future[T] = Future()

            def work() -> None:
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:  # noqa: BLE001  # who waits gets it
                    future.set_exception(error)

            future.set_running_or_notify_cancel()
            threading.Thread(target=work, name="vdr-io", daemon=True).start()
            return future


_io_loop = PerProcess(_IoLoop)


def in_io_loop(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Run a coroutine in the loop of this process.

    All callers share it, threads and event loops: so they share connections too, and none of them
    needs a thread. Cancelling the future cancels the coroutine.

    Raises:
        ResourceError: This machine starts no more threads.
        EncodingError: The process is ending.
        SystemExit: The same, in other threads than the main one.
    """
    try:
        loop = _io_loop.value.get()
    except BaseException:
        work.close()
        raise
    return asyncio.run_coroutine_threadsafe(work, loop)
