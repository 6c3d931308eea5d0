"""The threads that torch computes in: made when needed, parked when idle, never ended.

A thread that ends gives back what torch's libraries keep for it, under locks of their own. A fork
in that moment leaves those locks locked in the child for ever (seen with MKL's allocator, once in
40 forks). And a new thread makes a new pool of OpenMP's threads for its first product.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, wait
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from vdr_integrations.encoders.runtime import forks

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


class _OneThread:
    """Does one call after the other."""

    def __init__(self) -> None:
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], None]) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="vdr-torch-calls", daemon=True)
                thread.start()
                self._thread = thread
        self._orders.put(work)

    def _work(self) -> None:
        while True:
            self._orders.get()()


class _SingleCores:
    """Threads in each of which torch computes on one core: many small products, one a call.

    Sharing such a product out to OpenMP's threads costs more than it takes, and fifty times more
    where other processes want the CPUs.
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
            # A thread takes the number over when it first asks for it, and keeps it (MKL's).
            torch.get_num_threads()
            ready.set()
            while True:
                self._orders.get()()

        own = torch.get_num_threads()
        threading.Thread(target=work, name="vdr-scoring", daemon=True).start()
        ready.wait()
        # What a thread sets counts for itself, and for threads that have not used torch yet.
        torch.set_num_threads(own)


_threads = forks.PerProcess(_Threads)
_cores = forks.PerProcess(_SingleCores)
_caller = forks.PerProcess(_OneThread)
"""Apart, so that a thread that loaded a model keeps its OpenMP helpers beside those of the thread
that runs it: more threads than CPUs, and GNU's OpenMP does not spin at every barrier. Where other
processes want the CPUs, spinning made encoding ten times slower."""


def start_with_torch(work: Callable[[], None]) -> None:
    """Call ``work``, which raises nothing, in one of the threads; do not wait for it.

    Raises:
        RuntimeError: This machine starts no more threads.
    """
    _threads.value.start(work)


def call_with_torch(work: Callable[[], T]) -> T:
    """Call ``work`` in a thread for calls and wait for what it gives or raises.

    Whoever stops waiting (Ctrl-C) does not stop the work.
    """
    result: Future[T] = Future()
    _caller.value.start(partial(_settle, result, work))
    return result.result()


def call_on_one_core(work: Callable[[], T]) -> T:
    """Call ``work`` in a thread where torch computes on one core, and wait for what it gives."""
    (found,) = on_cores(lambda _: work(), [None])
    return found


def on_cores(work: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """What ``work`` gives for each of the items, in their order: threads take them in turn."""
    found: dict[int, T] = {}

    def worker(numbered: Iterator[tuple[int, S]]) -> None:
        for number, item in numbered:
            found[number] = work(item)

    share_out(worker, list(enumerate(items)), threads=core_count())
    return [found[number] for number in range(len(items))]


def core_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_out(work: Callable[[Iterator[S]], None], items: Sequence[S], *, threads: int) -> None:
    """Call ``work`` in threads where torch computes on one core, and wait until all have ended.

    Where one fails, or the caller is interrupted, the others get no more items and are waited for:
    nobody reads on in what the caller may take away next.

    Args:
        work: Goes through the items that it is given; no other thread gets the same ones.
        items: For all threads together, which take them in turn.
        threads: At most so many.

    Raises:
        BaseException: What one of them raised.
    """
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
        found = work()
    except BaseException as error:  # noqa: BLE001  # it is raised where it is waited for
        result.set_exception(error)
    else:
        result.set_result(found)
