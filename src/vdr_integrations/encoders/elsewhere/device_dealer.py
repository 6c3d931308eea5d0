"""Deals pages and queries of all callers to processes, each of which holds the model."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from vdr_integrations.encoders.elsewhere.plain_items import PlainPage
from vdr_integrations.encoders.runtime.running_model import PassOfModel
from vdr_integrations.encoders.runtime.taking_turns import Turns
from vdr_integrations.errors import EncodingError, ForkedProcessError, ResourceError, VdrError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vdr_integrations.encoders.elsewhere.device_process import ItemResult
    from vdr_integrations.encoders.preprocessing.prepared import Prepared

__all__ = ["DeviceDealer", "ModelDevice"]

_logger = logging.getLogger(__name__)


class ModelDevice(Protocol):
    """What works for a dealer; see ``DeviceProcess``.

    Attributes:
        device: Its name in messages.
    """

    device: str

    @property
    def process_id(self) -> int:
        """Its number in the system; 0 on another machine."""
        ...

    def send(self, number: int, items: Sequence[Prepared], *, budget: int) -> None:
        """Send pages or queries; OSError: it has ended."""
        ...

    def results(self) -> tuple[int, list[ItemResult]] | None:
        """Wait for the number of a request and its results; None if it has ended."""
        ...

    def kill(self) -> None:
        """Let :meth:`results` return None soon."""
        ...

    def wait(self) -> None:
        """Wait for its end."""
        ...

    def why_ended(self) -> str:
        """Why it ended, in words."""
        ...

    def close_requests(self) -> None:
        """Nothing more is sent."""
        ...

    def close_replies(self) -> None:
        """Nothing more is read."""
        ...

    def forget(self) -> None:
        """Let go of it in a forked process."""
        ...


@dataclass(slots=True, eq=False)
class _Request:
    """One caller's items and their results."""

    owner: object  # keeps the processes alive while somebody waits
    results: list[ItemResult]
    left: int
    future: Future[list[Any]] = field(default_factory=Future)
    is_started: bool = False
    is_settled: bool = False

    def start(self) -> bool:
        """Whether somebody still waits; after the first True it cannot be cancelled."""
        if not self.is_started and not self.is_settled:
            self.is_started = self.future.set_running_or_notify_cancel()
            self.is_settled = not self.is_started
        return not self.is_settled

    @property
    def is_waited_for(self) -> bool:
        return not (self.is_settled or self.future.cancelled())


@dataclass(frozen=True, slots=True, eq=False)
class _Ticket:
    request: _Request
    position: int
    item: Prepared
    cost: int
    allowed: int  # greatest cost of a window with this item; alone it may cost more


@dataclass(slots=True, eq=False)
class _Device:
    """A process and the windows that it works on.

    It has up to two: the next one crosses the pipe while the model works.

    Attributes:
        began: When it began with the window that it works on.
    """

    process: ModelDevice
    windows: dict[int, list[_Ticket]] = field(default_factory=dict[int, "list[_Ticket]"])
    began: float = 0.0
    is_alive: bool = True


class DeviceDealer:
    """Windows of work go to whichever process is free; what one leaves goes to the others.

    Each process has two threads here: one that sends, and one that receives. They end with the
    process, or with :meth:`close`.
    """

    def __init__(
        self,
        name: str,
        processes: Sequence[ModelDevice],
        *,
        after_loss: Callable[[ModelDevice], object] = lambda _: None,
    ) -> None:
        """Deal to these processes.

        Args:
            name: The model, in messages.
            processes: They are ready.
            after_loss: Called with one that has ended, in a thread of its own; :meth:`join` takes
                it back.

        Raises:
            ResourceError: This machine starts no more threads.
        """
        self._name = name
        self._owner_id = os.getpid()
        self._changed = threading.Condition()
        self._waiting: deque[_Ticket] = deque()
        self._turns: Turns[_Ticket] = Turns(lambda ticket: isinstance(ticket.item, PlainPage))
        self._devices: list[_Device] = []
        self._after_loss = after_loss
        self._lost: dict[str, str] = {}
        self._watchers: list[Callable[[PassOfModel], None]] = []
        self._is_closed = False
        self._count = 0
        for process in processes:
            self.join(process)

    @property
    def lost(self) -> dict[str, str]:
        """Why devices were lost, by their names in messages."""
        with self._changed:
            return dict(self._lost)

    @property
    def is_usable(self) -> bool:
        """Whether a device is left."""
        return any(device.is_alive for device in self._devices)

    @property
    def process_ids(self) -> list[int]:
        """The numbers of the processes that work."""
        return [one.process.process_id for one in self._devices if one.is_alive]

    def join(self, process: ModelDevice) -> None:
        """Deal to one more process, which is ready.

        Raises:
            ResourceError: This machine starts no more threads.
        """
        device = _Device(process)
        with self._changed:
            if self._is_closed:
                return
            self._devices = [one for one in self._devices if one.is_alive]
            self._devices.append(device)
        try:
            for work in (self._send, self._receive):
                thread = threading.Thread(target=work, args=(device,), daemon=True)
                thread.name = f"vdr-{process.device}"
                thread.start()
        except RuntimeError as problem:
            self.close()
            raise ResourceError(
                f"{self._name}: this machine starts no more threads ({problem}). Raise the limit "
                f"(ulimit -u, or the container's), or use fewer devices."
            ) from problem

    def watch(self, seen: Callable[[PassOfModel], None]) -> None:
        """Call ``seen`` after every window, in another thread."""
        self._watchers.append(seen)

    def submit(
        self, items: Sequence[tuple[Prepared, int]], *, budget: int, owner: object
    ) -> Future[list[Any]]:
        """Queue items; the future gets their results, in their order.

        Args:
            items: Pages and queries, each with its cost.
            budget: Greatest cost of a window with any of them.
            owner: What keeps the processes alive.

        Raises:
            EncodingError: No device is left.
        """
        request = _Request(owner, [None] * len(items), len(items))
        if not items:
            request.future.set_result([])
            return request.future
        with self._changed:
            if not self.is_usable:
                raise self._none_left()
            self._waiting.extend(
                _Ticket(request, position, item, cost, budget)
                for position, (item, cost) in enumerate(items)
            )
            self._changed.notify_all()
        return request.future

    def close(self) -> None:
        """End the processes; who still waits gets SystemExit, as this happens at the end only."""
        if os.getpid() != self._owner_id:
            return
        with self._changed:
            self._is_closed = True
            requests = self._take_all()
            self._changed.notify_all()
        for device in self._devices:
            device.process.kill()
        for device in self._devices:
            device.process.wait()
        _fail(requests, SystemExit())

    def forget_after_fork(self) -> None:
        """Leave the processes to the parent, in a forked process, which has none of the threads."""
        self._changed = threading.Condition()
        self._is_closed = True
        requests = self._take_all()
        for device in self._devices:
            if device.is_alive:
                device.is_alive = False
                device.process.forget()
        _fail(
            requests,
            ForkedProcessError(
                f"{self._name}: this process was forked while it waited for vectors, and only its "
                f"parent gets them. Encode again."
            ),
        )

    def _send(self, device: _Device) -> None:
        try:
            while self._send_one(device):
                pass
        except Exception:
            _logger.exception("%s: nothing can be sent to %s.", self._name, device.process.device)
            device.process.kill()  # half a message may be in the pipe
        device.process.close_requests()

    def _send_one(self, device: _Device) -> bool:
        """Whether a window was sent. What waits here holds no request, and so no owner."""
        window = self._next_window(device)
        if window is None:
            return False
        number, tickets = window
        budget = min(ticket.allowed for ticket in tickets)
        try:
            device.process.send(number, [one.item for one in tickets], budget=budget)
        except OSError:  # it has ended: the other thread finds out why
            return False
        return True

    def _receive(self, device: _Device) -> None:
        try:
            while self._receive_one(device):
                pass
        except Exception:  # nobody may wait for what is not read any more
            _logger.exception("%s: %s gave a wrong answer.", self._name, device.process.device)
            device.process.kill()
        self._lose(device, device.process.why_ended())
        device.process.close_replies()

    def _receive_one(self, device: _Device) -> bool:
        """Whether a window came back."""
        found = device.process.results()
        if found is None:
            return False
        number, results = found
        now = time.monotonic()
        with self._changed:
            tickets = device.windows[number]
            if len(results) != len(tickets):
                raise ValueError(f"{len(results)} results for {len(tickets)} items")
            del device.windows[number]
            seconds, device.began = now - device.began, now
            self._changed.notify_all()
        self._tell(tickets, seconds)
        self._deliver(tickets, results)
        return True

    def _tell(self, tickets: Sequence[_Ticket], seconds: float) -> None:
        kind = "pages" if isinstance(tickets[0].item, PlainPage) else "queries"
        requests = len({id(ticket.request) for ticket in tickets})
        for seen in self._watchers:
            try:
                seen(PassOfModel(kind, len(tickets), requests, seconds))
            except Exception:
                _logger.exception("%s: who watches its passes fails.", self._name)

    def _next_window(self, device: _Device) -> tuple[int, list[_Ticket]] | None:
        """Wait for work; None if this device does no more."""
        with self._changed:
            while not self._is_closed and device.is_alive:
                window = self._taken(device)
                if window:
                    self._count += 1
                    if not device.windows:
                        device.began = time.monotonic()
                    device.windows[self._count] = window
                    return self._count, window
                self._changed.wait()
            return None

    def _taken(self, device: _Device) -> list[_Ticket]:
        """Tickets for a device, of the kind whose turn it is, as much as others leave to it."""
        self._waiting = deque(one for one in self._waiting if one.request.is_waited_for)
        alive = [one for one in self._devices if one.is_alive]
        if device.windows:
            is_enough_for_all = len(self._waiting) >= len(alive)
            if len(device.windows) > 1 or not (is_enough_for_all and all(x.windows for x in alive)):
                return []
        window: list[_Ticket] = []
        left: deque[_Ticket] = deque()
        spent, room = 0, -(-sum(one.cost for one in self._waiting) // len(alive))
        for ticket in self._turns.in_order(self._waiting):
            fits = not window or (
                isinstance(ticket.item, PlainPage) is isinstance(window[0].item, PlainPage)
                and spent + ticket.cost <= min(room, ticket.allowed)
            )
            if not (fits and ticket.request.start()):
                left.append(ticket)
                continue
            window.append(ticket)
            spent += ticket.cost
            room = min(room, ticket.allowed)
        self._waiting = left
        self._turns.note(window)
        return window

    def _deliver(self, tickets: Iterable[_Ticket], results: Iterable[ItemResult]) -> None:
        settled: list[Callable[[], None]] = []
        with self._changed:
            for ticket, result in zip(tickets, results, strict=True):
                request = ticket.request
                request.results[ticket.position] = result
                request.left -= 1
                if request.is_settled:
                    continue
                if isinstance(result, VdrError):
                    request.is_settled = True
                    settled.append(_raising(request, result))
                elif not request.left:
                    request.is_settled = True
                    settled.append(_returning(request))
        for settle in settled:  # not under the lock: callbacks of others run here
            settle()

    def _lose(self, device: _Device, reason: str) -> None:
        """Give the windows of a device that has ended to the others."""
        with self._changed:
            device.is_alive = False
            if self._is_closed:
                return
            name = device.process.device
            self._lost[name] = reason
            back = [ticket for window in device.windows.values() for ticket in window]
            device.windows.clear()
            self._waiting.extendleft(reversed(back))
            is_last = not self.is_usable
            requests = self._take_all() if is_last else []
            self._changed.notify_all()
        if is_last:
            _fail(requests, self._none_left())
        else:
            _logger.warning("%s: %s was lost: %s.", self._name, name, reason)
        self._after_loss(device.process)

    def _take_all(self) -> list[_Request]:
        """The requests of which anything is not done; none of it is done any more."""
        tickets = [*self._waiting]
        for device in self._devices:
            tickets += [ticket for window in device.windows.values() for ticket in window]
            device.windows.clear()
        self._waiting.clear()
        return list(dict.fromkeys(one.request for one in tickets if one.request.start()))

    def _none_left(self) -> EncodingError:
        found = "; ".join(f"{name}: {reason}" for name, reason in self._lost.items())
        return EncodingError(
            f"{self._name}: all of its devices were lost ({found}). Load it again; if it happens "
            f"again, look at the memory of this machine and of its devices."
        )


def _raising(request: _Request, error: VdrError) -> Callable[[], None]:
    return lambda: request.future.set_exception(error)


def _returning(request: _Request) -> Callable[[], None]:
    return lambda: request.future.set_result(request.results)


def _fail(requests: Iterable[_Request], error: BaseException) -> None:
    for request in requests:
        request.is_settled = True
        request.future.set_exception(error)
