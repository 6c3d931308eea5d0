"""One thread runs the model; any number of threads and tasks send it work."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from vdr_integrations.encoders.runtime import forks
from vdr_integrations.encoders.runtime.device_memory import is_out_of_memory
from vdr_integrations.encoders.runtime.process_end import (
    ProcessEndsError,
    idle,
    refuse_at_the_end,
    stop_at_the_end,
)
from vdr_integrations.encoders.runtime.taking_turns import Turns
from vdr_integrations.encoders.runtime.torch_threads import start_with_torch
from vdr_integrations.errors import (
    DeviceMemoryError,
    EncodingError,
    ForkedProcessError,
    ResourceError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ModelWorker", "RanBatch"]

Item = TypeVar("Item")

_FIRST_SUCCESSES = 8
_MOST_SUCCESSES = 1024
"""Full batches after which a larger batch is tried: the first and the greatest number. It doubles
after every failed attempt, so that larger batches are seldom tried on a device that is too small.
"""


@dataclass(frozen=True, slots=True)
class RanBatch:
    """A batch that the model has run.

    Attributes:
        group: What its items have in common.
        items: Number of items.
        requests: Number of requests that they belong to.
        seconds: How long it took.
    """

    group: Hashable
    items: int
    requests: int
    seconds: float


@dataclass(slots=True)
class _Request(Generic[Item]):
    """One caller's items and their results."""

    items: Sequence[Item]
    owner: ModelWorker[Item]  # keeps the worker alive while somebody waits
    future: Future[list[NDArray[np.float32]]] = field(default_factory=Future)
    results: dict[int, NDArray[np.float32]] = field(
        default_factory=dict[int, "NDArray[np.float32]"]
    )
    started: bool | None = None

    def start(self) -> bool:
        """Whether somebody still waits; after the first True it cannot be cancelled."""
        if self.started is None:  # called for every item; a future allows this only once
            self.started = self.future.set_running_or_notify_cancel()
        return self.started and not self.future.done()

    def deliver(self, position: int, result: NDArray[np.float32]) -> None:
        self.results[position] = result
        if len(self.results) == len(self.items) and not self.future.done():
            self.future.set_result([self.results[n] for n in range(len(self.items))])

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(frozen=True, slots=True)
class _Ticket(Generic[Item]):
    request: _Request[Item]
    position: int
    group: Hashable
    cost: int
    allowed: int  # greatest cost of a batch with this item; alone it may cost more

    @property
    def item(self) -> Item:
        return self.request.items[self.position]


@dataclass(slots=True)
class _Cap:
    """How many items a batch may have after the device ran out of memory."""

    items: int
    successes: int = 0
    successes_wanted: int = _FIRST_SUCCESSES
    was_raised: bool = False

    def lower(self, items: int) -> None:
        if self.was_raised:
            self.successes_wanted = min(2 * self.successes_wanted, _MOST_SUCCESSES)
        self.items, self.successes, self.was_raised = items, 0, False

    def note_success(self, items: int) -> None:
        if items < self.items:
            return  # a smaller batch proves nothing
        self.successes += 1
        if self.successes >= self.successes_wanted:
            self.items, self.successes, self.was_raised = 2 * self.items, 0, True


class ModelWorker(Generic[Item]):
    """Groups waiting items into batches and runs the batches one after the other.

    A batch starts with the item that has waited longest and is filled with items of the same group,
    from any caller. Kinds of items take turns, so a query waits for one batch of pages, and not for
    all pages that were sent before it. When the device runs out of memory, the batches of that
    group are halved; after some successful batches, larger ones are tried again.

    A worker has a thread while there is work, so an idle encoder costs nothing. On a GPU it keeps
    the thread, because the plans that cuDNN made belong to it. In both cases a worker is freed like
    any other object.

    A forked child gets an empty queue and its own thread; on a GPU it gets an error.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[NDArray[np.float32]]],
        *,
        group: Callable[[Item], Hashable],
        cost: Callable[[Item], int],
        budget: Callable[[Hashable], int],
        name: str,
        kind: Callable[[Item], Hashable] = lambda _: None,
        device: str = "cpu",
        release_memory: Callable[[], None] = lambda: None,
    ) -> None:
        """Describe the work.

        Args:
            run: Returns a vector or matrix for each item of a batch of one group; called only from
                the worker's thread.
            group: Items may share a batch if this is equal.
            cost: Size of an item, in the unit of ``budget``.
            budget: Greatest cost of a batch of a group, if a request does not give one; a single
                item may cost more.
            name: Name of the model in error messages.
            kind: Items of another kind than the last batch's go first.
            device: Device of the model.
            release_memory: Called after the device ran out of memory, before the next attempt.
        """
        self._run = run
        self._group = group
        self._cost = cost
        self._budget = budget
        self._name = name
        self._turns: Turns[_Ticket[Item]] = Turns(lambda ticket: kind(ticket.item))
        self._device = device
        self._release_memory = release_memory
        self._is_on_cpu = device == "cpu"
        self._caps: dict[Hashable, _Cap] = {}
        self._batch: list[_Ticket[Item]] = []
        self._is_lost = False
        self._watchers: list[Callable[[RanBatch], None]] = []
        self._queue: _Queue[Item] = _Queue()
        self._end_of_thread = _closing(self, self._queue)
        forks.renew_after_fork(self)

    def submit(
        self, items: Sequence[Item], *, budget: int | None = None
    ) -> Future[list[NDArray[np.float32]]]:
        """Queue ``items``; the future gets the results of ``run`` in their order.

        Cancelling the future before its first batch takes the request out of the queue; later it
        only stops the waiting. Other requests are not affected.

        Args:
            items: The items to encode.
            budget: Greatest cost of a batch with any of them; None uses the worker's own.

        Raises:
            ForkedProcessError: The model does not work after a fork.
            ResourceError: This machine starts no more threads.
            EncodingError: The process is ending.
        """
        self._check_usable()
        refuse_at_the_end()
        request = _Request(items, self)
        if not items:
            request.future.set_result([])
            return request.future
        tickets: list[_Ticket[Item]] = []
        for position, item in enumerate(items):  # here, so that an error reaches the caller
            group = self._group(item)
            allowed = self._budget(group) if budget is None else budget
            tickets.append(_Ticket(request, position, group, self._cost(item), allowed))
        queue = self._queue
        with queue.changed:
            queue.waiting.extend(tickets)
            if not queue.is_served:
                serve = partial(_serve, queue, weakref.ref(self), stays=not self._is_on_cpu)
                try:
                    start_with_torch(serve)
                    queue.is_served = True
                except RuntimeError as error:
                    for _ in tickets:
                        queue.waiting.pop()
                    raise ResourceError(
                        f"{self._name}: this machine starts no more threads ({error}). Raise the "
                        f"limit (ulimit -u, or the container's), or run fewer threads."
                    ) from error
            else:
                queue.changed.notify()
        return request.future

    def watch(self, seen: Callable[[RanBatch], None]) -> None:
        """Call ``seen`` after every batch, in the worker's thread; it must not raise."""
        self._watchers.append(seen)

    def after_fork(self) -> None:
        """Leave the queue and the thread to the parent."""
        self._is_lost = not self._is_on_cpu
        self._end_of_thread.detach()  # its lock may be locked forever
        for ticket in (*self._batch, *self._queue.waiting):
            ticket.request.fail(
                ForkedProcessError(
                    f"{self._name}: this process was forked while it waited for vectors, and only "
                    f"its parent gets them. Encode again."
                )
            )
        self._batch = []
        self._queue = _Queue()
        self._end_of_thread = _closing(self, self._queue)

    def _check_usable(self) -> None:
        if self._is_lost:
            raise ForkedProcessError(
                f"{self._name} was on {self._device} before this process was forked, and no GPU "
                f"can be used after a fork. {forks.ADVICE}"
            )
        forks.check_usable(self._name)

    def do_a_batch(self) -> None:
        """Run the next batch; called from the worker's thread.

        The thread survives any error. It ends with the process (ProcessEndsError).
        """
        # Forks wait for a CPU model, which works in the child. A GPU model does not work there.
        with forks.uninterrupted() if self._is_on_cpu else nullcontext():
            self._batch = batch = self._next_batch()
            try:
                self._encode(batch)
            except ProcessEndsError:
                self._fail(batch, SystemExit())
                raise
            except Exception as error:  # noqa: BLE001  # callers get any error
                self._fail(batch, error)
            except BaseException as error:  # noqa: BLE001  # an exit, or a panic in Rust
                found = EncodingError(
                    f"{self._name} stopped with {type(error).__name__}: {error}. Encode again."
                )
                found.__cause__ = error
                self._fail(batch, found)
            finally:
                self._batch = []

    @staticmethod
    def _fail(batch: list[_Ticket[Item]], error: BaseException) -> None:
        for ticket in batch:
            ticket.request.fail(error)

    def _next_batch(self) -> list[_Ticket[Item]]:
        with self._queue.changed:
            batch: list[_Ticket[Item]] = []
            left: deque[_Ticket[Item]] = deque()
            room = spent = most = 0
            for ticket in self._turns.in_order(self._queue.waiting):
                if ticket.request.future.cancelled():
                    continue
                if batch:
                    total = spent + ticket.cost
                    fits = (
                        len(batch) < most
                        and ticket.group == batch[0].group
                        and total <= min(room, ticket.allowed)
                    )
                    if not fits:
                        left.append(ticket)
                        continue
                if not ticket.request.start():
                    continue
                if not batch:
                    cap = self._caps.get(ticket.group)
                    most = len(self._queue.waiting) if cap is None else cap.items
                    room = ticket.allowed
                batch.append(ticket)
                spent += ticket.cost
                room = min(room, ticket.allowed)
            self._queue.waiting = left
            self._turns.note(batch)
            return batch

    def _encode(self, batch: list[_Ticket[Item]]) -> None:
        if not batch:
            return
        group, began = batch[0].group, time.perf_counter()
        results, problem = self._results_if_they_fit([ticket.item for ticket in batch])
        if results is not None:
            for ticket, result in zip(batch, results, strict=True):
                ticket.request.deliver(ticket.position, result)
            if (cap := self._caps.get(group)) is not None:
                cap.note_success(len(batch))
            self._tell(batch, seconds=time.perf_counter() - began)
            return
        if len(batch) == 1:
            error = DeviceMemoryError(
                f"{self._name}: one item alone does not fit the memory of {self._device} "
                f"({problem}). Lower max_visual_tokens, use a 16-bit dtype, or another device."
            )
            self._fail(batch, error)  # other requests are not affected
            return
        half = len(batch) // 2
        self._caps.setdefault(group, _Cap(half)).lower(half)
        for start in range(0, len(batch), half):
            self._encode(batch[start : start + half])

    def _tell(self, batch: list[_Ticket[Item]], *, seconds: float) -> None:
        if self._watchers:
            requests = len({id(ticket.request) for ticket in batch})
            ran = RanBatch(batch[0].group, len(batch), requests, seconds)
            for seen in self._watchers:
                seen(ran)

    def _results_if_they_fit(
        self, items: list[Item]
    ) -> tuple[Sequence[NDArray[np.float32]] | None, str]:
        try:
            return self._run(items), ""
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            lines = str(error).splitlines()
            problem = lines[0] if lines else type(error).__name__
        # Not in the handler: its traceback would keep the failed batch's tensors alive.
        self._release_memory()
        return None, problem


class _Queue(Generic[Item]):
    """Items that wait for a worker's thread; an idle thread holds nothing else."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.waiting: deque[_Ticket[Item]] = deque()
        self.is_served = False
        self.is_closed = False

    def close(self) -> None:
        """Let the thread end; nobody can send items any more."""
        with self.changed:
            self.is_closed = True
            self.changed.notify()

    def give_up(self, error: BaseException) -> None:
        """Fail all waiting requests: the thread has ended."""
        with self.changed:
            waiting, self.waiting = self.waiting, deque()
            self.is_served = False
        for ticket in waiting:
            ticket.request.fail(error)

    def has_work(self, *, stays: bool) -> bool:
        """Whether there is work; with ``stays`` wait for it until the worker is freed."""
        with self.changed:
            if stays:
                with idle():
                    self.changed.wait_for(lambda: self.waiting or self.is_closed)
            if self.waiting:
                return True
            self.is_served = False
            return False


def _closing(worker: ModelWorker[Item], queue: _Queue[Item]) -> weakref.finalize[..., Any]:
    """Close the queue when the worker is freed; threads end with the process anyway."""
    closing = weakref.finalize(worker, queue.close)
    closing.atexit = False
    return closing


def _serve(
    queue: _Queue[Item],
    worker: weakref.ref[ModelWorker[Item]],
    *,
    stays: bool,
) -> None:
    try:
        while queue.has_work(stays=stays):
            stop_at_the_end()
            one = worker()
            if one is None:  # freed, so nobody waits
                return
            one.do_a_batch()
            del one
    except ProcessEndsError:
        queue.give_up(SystemExit())
    except BaseException as error:  # noqa: BLE001  # should not happen; nobody may wait forever
        queue.give_up(EncodingError(f"the model's thread stopped: {error!r}. Encode again."))
