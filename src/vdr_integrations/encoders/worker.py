"""One thread owns the model; any number of threads and tasks send it work."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import torch

from vdr_integrations.errors import DeviceMemoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

__all__ = ["ModelWorker"]

Item = TypeVar("Item")


@dataclass(slots=True)
class _Request(Generic[Item]):
    """One caller's items and where their rows go."""

    items: Sequence[Item]
    future: Future[NDArray[np.float32]] = field(default_factory=Future)
    rows: NDArray[np.float32] | None = None
    missing: int = 0
    started: bool = False

    def start(self) -> bool:
        """Whether anybody still waits; from the first True on, it cannot be cancelled."""
        if not self.started:
            self.started = self.future.set_running_or_notify_cancel()
        return self.started and not self.future.done()

    def deliver(self, position: int, row: NDArray[np.float32]) -> None:
        if self.rows is None:
            self.rows = np.empty((len(self.items), len(row)), np.float32)
        self.rows[position] = row
        self.missing -= 1
        if self.missing == 0 and not self.future.done():
            self.future.set_result(self.rows)

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
        run: Callable[[Sequence[Item]], NDArray[np.float32]],
        *,
        group: Callable[[Item], Hashable],
        cost: Callable[[Item], int],
        budget: Callable[[Hashable], int],
        name: str,
    ) -> None:
        """Describe the work.

        Args:
            run: Rows of a batch of one group; called from the worker's thread alone.
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

    def submit(self, items: Sequence[Item]) -> Future[NDArray[np.float32]]:
        """Rows of ``items``, in their order, as soon as their turn has come.

        Cancelling the future before its first batch takes the request out of the queue; later it
        only stops the waiting. Neither touches other requests.
        """
        request = _Request(items, missing=len(items))
        if not items:
            request.future.set_result(np.empty((0, 0), np.float32))
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
        rows = self._rows_if_they_fit([ticket.item for ticket in batch])
        if rows is not None:
            for ticket, row in zip(batch, rows, strict=True):
                ticket.request.deliver(ticket.position, row)
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

    def _rows_if_they_fit(self, items: list[Item]) -> NDArray[np.float32] | None:
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
