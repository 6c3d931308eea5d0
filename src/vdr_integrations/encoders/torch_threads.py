"""The threads that torch computes in: made when needed, parked when idle, never ended.

A thread that ends gives back what torch's libraries keep for it, under locks of their own. A fork
in that moment leaves those locks locked in the child for ever (seen with MKL's allocator, once in
40 forks). And a new thread makes a new pool of OpenMP's threads for its first product.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from vdr_integrations.encoders import forks

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["call_where_torch_works", "call_with_torch", "start_with_torch"]

T = TypeVar("T")


class _Threads:
    """Parked threads, each by the queue that it waits on."""

    def __init__(self) -> None:
        self._parked: SimpleQueue[SimpleQueue[Callable[[], None]]] = SimpleQueue()

    def start(self, work: Callable[[], None]) -> None:
        try:
            orders = self._parked.get_nowait()
        except Empty:
            orders = SimpleQueue()
            thread = threading.Thread(
                target=self._work, args=(orders,), name="vdr-torch", daemon=True
            )
            thread.start()
        orders.put(work)

    def _work(self, orders: SimpleQueue[Callable[[], None]]) -> None:
        while True:
            orders.get()()
            self._parked.put(orders)


_threads = forks.PerProcess(_Threads)


def start_with_torch(work: Callable[[], None]) -> None:
    """Call ``work``, which raises nothing, in one of the threads; do not wait for it.

    Raises:
        RuntimeError: This machine starts no more threads.
    """
    _threads.value.start(work)


def call_with_torch(work: Callable[[], T]) -> T:
    """Call ``work`` in one of the threads and wait for what it gives or raises."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001  # it is raised where it is waited for
            result.set_exception(error)

    start_with_torch(run)
    return result.result()


def call_where_torch_works(work: Callable[[], T]) -> T:
    """Call ``work`` here, or in a forked child in one of the threads; for work that is short."""
    return call_with_torch(work) if forks.was_forked() else work()
