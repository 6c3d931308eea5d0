"""One thread owns the model; any number of threads and tasks send it work."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import torch

from vdr_integrations.errors import DeviceMemoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ModelWorker"]

Item = TypeVar("Item")


@dataclass(slots=True)
class _Request(Generic[Item]):
    """One caller's items and where their rows go."""

    items: Sequence[Item]
    future: Future[list[NDArray[np.float32]]] = field(default_factory=Future)
    results: dict[int, NDArray[np.float32]] = field(
        default_factory=dict[int, "NDArray[np.float32]"]
    )
    started: bool | None = None

    def start(self) -> bool:
        """Whether anybody still waits; from the first True on, it cannot be cancelled."""
        if self.started is None:  # asked for every item; a future may be told once
            self.started = self.future.set_running_or_notify_cancel()
        return self.started and not self.future.done()

    def deliver(self, position: int, result: NDArray[np.float32]) -> None:
        self.results[position] = result
        if len(self.results) == len(self.items) and not self.future.done():
            self.future.set_result([self.results[n] for n in range(len(self.items))])

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(frozen=True, slots=True)
class _Ticket(Generic[Item]):
    request: _Request[Item]
    position: int

    @property
    def item(self) -> Item:
        return self.request.items[self.position]


class ModelWorker(Generic[Item]):
    """Gathers what is waiting into batches of like items and runs them one after the other.

    The thread lives while there is work, so an idle encoder costs nothing and is freed like any
    other object. Batches start with whoever waited longest and are filled with items of the same
    group, whoever sent them. Running out of memory halves the batch, now and for the rest of the
    process.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[NDArray[np.float32]]],
        *,
        group: Callable[[Item], Hashable],
        cost: Callable[[Item], int],
        budget: Callable[[Hashable], int],
        name: str,
    ) -> None:
        """Describe the work.

        Args:
            run: A vector or matrix for each item of a batch of one group; called from the
                worker's thread alone.
            group: Items may share a batch if this is equal.
            cost: Size of an item, in the unit of ``budget``.
            budget: How much a batch of a group may cost; a single item may cost more.
            name: What errors call the model.
        """
        self._run = run
        self._group = group
        self._cost = cost
        self._budget = budget
        self._name = name
        self._most_items: dict[Hashable, int] = {}
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket[Item]] = deque()
        self._working = False

    def submit(self, items: Sequence[Item]) -> Future[list[NDArray[np.float32]]]:
        """What ``run`` gives for ``items``, in their order, as soon as their turn has come.

        Cancelling the future before its first batch takes the request out of the queue; later it
        only stops the waiting. Neither touches other requests.
        """
        request = _Request(items)
        if not items:
            request.future.set_result([])
            return request.future
        with self._lock:
            self._waiting.extend(_Ticket(request, n) for n in range(len(items)))
            if not self._working:
                self._working = True
                threading.Thread(target=self._work, name="vdr-encoder", daemon=True).start()
        return request.future

    def _work(self) -> None:
        while batch := self._next_batch():
            try:
                self._encode(batch)
            except Exception as error:  # noqa: BLE001  # whatever it is belongs to the callers
                for ticket in batch:
                    ticket.request.fail(error)

    def _next_batch(self) -> list[_Ticket[Item]]:
        with self._lock:
            batch: list[_Ticket[Item]] = []
            left: deque[_Ticket[Item]] = deque()
            group: Hashable = None
            room = most = 0
            for ticket in self._waiting:
                if not ticket.request.start():
                    continue
                if not batch:
                    group = self._group(ticket.item)
                    room = max(self._budget(group), self._cost(ticket.item))
                    most = self._most_items.get(group, len(self._waiting))
                cost = self._cost(ticket.item)
                if len(batch) < most and cost <= room and self._group(ticket.item) == group:
                    batch.append(ticket)
                    room -= cost
                else:
                    left.append(ticket)
            self._waiting = left
            self._working = bool(batch)
            return batch

    def _encode(self, batch: list[_Ticket[Item]]) -> None:
        results = self._results_if_they_fit([ticket.item for ticket in batch])
        if results is not None:
            for ticket, result in zip(batch, results, strict=True):
                ticket.request.deliver(ticket.position, result)
            return
        if len(batch) == 1:
            raise DeviceMemoryError(
                f"{self._name}: one item alone does not fit the device's memory. Lower "
                f"max_visual_tokens, use a 16-bit dtype, or another device."
            )
        half = len(batch) // 2
        self._most_items[self._group(batch[0].item)] = half
        self._encode(batch[:half])
        self._encode(batch[half:])

    def _results_if_they_fit(self, items: list[Item]) -> Sequence[NDArray[np.float32]] | None:
        try:
            return self._run(items)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
        # Here, not in the handler: its traceback would keep the failed batch's tensors alive.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None


def _is_out_of_memory(error: BaseException) -> bool:
    # CUDA has a class of its own; Metal and the CPU's allocator raise plain RuntimeErrors.
    said = str(error).lower()
    return (
        isinstance(error, (torch.OutOfMemoryError, MemoryError))
        or "out of memory" in said
        or "can't allocate memory" in said
    )
