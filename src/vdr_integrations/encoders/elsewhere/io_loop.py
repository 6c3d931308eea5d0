"""One event loop of this process, in a thread of its own, for calls to servers."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from vdr_integrations.encoders.runtime.forks import PerProcess
from vdr_integrations.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

__all__ = ["in_io_loop"]

T = TypeVar("T")


class _IoLoop:
    """The loop and its thread; both live as long as the process."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                loop = asyncio.new_event_loop()
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
            return self._loop


_io_loop = PerProcess(_IoLoop)


def in_io_loop(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Run a coroutine in the loop of this process.

    All callers share it, threads and event loops: so they share connections too, and none of them
    needs a thread. Cancelling the future cancels the coroutine.

    Raises:
        ResourceError: This machine starts no more threads.
    """
    try:
        loop = _io_loop.value.get()
    except ResourceError:
        work.close()
        raise
    return asyncio.run_coroutine_threadsafe(work, loop)
