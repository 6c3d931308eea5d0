"""The threads in which torch computes: started when needed, parked when idle, never ended.

When a thread ends, torch's libraries free what they keep for it, under locks of their own. A fork
at that moment leaves those locks locked in the child forever (seen with MKL's allocator, once in 40
forks). Also, a new thread makes a new pool of OpenMP threads for its first product.

While the process ends, they begin no more work (``process_end``).
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, wait
from functools import partial
from itertools import chain
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from vdr_integrations.encoders.runtime import forks
from vdr_integrations.encoders.runtime.process_end import (
    ProcessEndsError,
    do_orders,
    leave_at_the_end,
    refuse_at_the_end,
    start_thread,
    stop_at_the_end,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "call_on_one_core",
    "call_with_torch",
    "core_count",
    "on_cores",
    "share_out",
    "start_with_torch",
]

S = TypeVar("S")
T = TypeVar("T")


def _start(name: str, next_order: Callable[[], Callable[[], None]]) -> None:
    leave_at_the_end()
    start_thread(threading.Thread(target=do_orders, args=(next_order,), name=name, daemon=True))


class _Threads:
    """Parked threads; each is represented by the queue on which it waits."""

    def __init__(self) -> None:
        self._parked: SimpleQueue[SimpleQueue[Callable[[], None]]] = SimpleQueue()

    def start(self, work: Callable[[], None]) -> None:
        try:
            orders = self._parked.get_nowait()
        except Empty:
            orders = SimpleQueue()
            _start("vdr-torch", orders.get)
        orders.put(partial(self._work, orders, work))

    def _work(self, orders: SimpleQueue[Callable[[], None]], work: Callable[[], None]) -> None:
        work()
        self._parked.put(orders)


class _OneThread:
    """A thread that does one call after the other."""

    def __init__(self) -> None:
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._starting = threading.Lock()
        self._is_started = False

    def start(self, work: Callable[[], None]) -> None:
        with self._starting:
            if not self._is_started:
                _start("vdr-torch-calls", self._orders.get)
                self._is_started = True
        self._orders.put(work)


class _SingleCores:
    """Threads in which torch computes on one core each, for many small products.

    To divide such a product among OpenMP's threads takes longer than the product itself, and fifty
    times longer if other processes use the CPUs.
    """

    def __init__(self) -> None:
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._starting = threading.Lock()
        self._count = 0

    def start(self, workers: Sequence[Callable[[], None]]) -> list[Future[None]]:
        with self._starting:
            while self._count < len(workers):
                self._start_one()
                self._count += 1
        done: list[Future[None]] = []
        for work in workers:
            result: Future[None] = Future()
            done.append(result)
            self._orders.put(partial(_settle, result, work))
        return done

    def _start_one(self) -> None:
        import torch

        ready = threading.Event()

        def work() -> None:
            torch.set_num_threads(1)
            # A thread reads MKL's number when it first asks for it, and keeps it.
            torch.get_num_threads()
            ready.set()

        own = torch.get_num_threads()
        orders = chain([work], iter(self._orders.get, None))
        _start("vdr-scoring", orders.__next__)
        ready.wait()
        # The number also applies to threads that have not used torch yet, so set it back.
        torch.set_num_threads(own)


_threads = forks.PerProcess(_Threads)
_cores = forks.PerProcess(_SingleCores)
_caller = forks.PerProcess(_OneThread)
"""A separate thread, so that the thread that loaded a model keeps its OpenMP helpers besides those
of the thread that runs it. With more threads than CPUs, GNU's OpenMP does not spin at every
barrier. Spinning made encoding ten times slower if other processes used the CPUs."""


def start_with_torch(work: Callable[[], None]) -> None:
    """Call ``work``, which must not raise, in one of the threads; do not wait for it.

    Raises:
        RuntimeError: This machine starts no more threads.
        EncodingError: The process is ending.
    """
    refuse_at_the_end()
    _threads.value.start(work)


def call_with_torch(work: Callable[[], T]) -> T:
    """Call ``work`` in the thread for calls; wait for its result or its error.

    If the caller stops waiting (Ctrl-C), the work goes on.

    Raises:
        EncodingError: The process is ending.
    """
    refuse_at_the_end()
    result: Future[T] = Future()
    _caller.value.start(partial(_settle, result, work))
    return result.result()


def call_on_one_core(work: Callable[[], T]) -> T:
    """Call ``work`` in a thread where torch computes on one core, and wait for its result."""
    (found,) = on_cores(lambda _: work(), [None])
    return found


def on_cores(work: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """The results of ``work`` for all items, in their order; threads share the items."""
    found: dict[int, T] = {}

    def worker(numbered: Iterator[tuple[int, S]]) -> None:
        for number, item in numbered:
            found[number] = work(item)

    share_out(worker, list(enumerate(items)), threads=core_count())
    return [found[number] for number in range(len(items))]


def core_count() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_out(work: Callable[[Iterator[S]], None], items: Sequence[S], *, threads: int) -> None:
    """Call ``work`` in threads where torch computes on one core, and wait until all have ended.

    If one fails, or the caller is interrupted, the others get no more items, and this function
    waits for them: no thread may read data that the caller frees afterwards.

    Args:
        work: Iterates over its items; no other thread gets the same items.
        items: The items of all threads; each thread takes the next one.
        threads: Greatest number of threads.

    Raises:
        BaseException: The error that one of them raised.
        EncodingError: The process is ending.
    """
    refuse_at_the_end()
    turns = _Turns(items)

    def worker() -> None:
        try:
            work(turns)
        except BaseException:
            turns.end()
            raise

    started = _cores.value.start([worker] * min(threads, len(items)))
    try:
        wait(started)
    finally:
        turns.end()
        wait(started)
    for done in started:
        done.result()


class _Turns(Generic[S]):
    """One iterator for several threads."""

    def __init__(self, items: Sequence[S]) -> None:
        self._taking = threading.Lock()
        self._left = iter(items)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> S:
        with self._taking:
            return next(self._left)

    def end(self) -> None:
        with self._taking:
            self._left = iter(())


def _settle(result: Future[T], work: Callable[[], T]) -> None:
    try:
        stop_at_the_end()
        found = work()
    except ProcessEndsError:
        result.set_exception(SystemExit())
    except BaseException as error:  # noqa: BLE001  # raised in the thread that waits
        result.set_exception(error)
    else:
        result.set_result(found)
