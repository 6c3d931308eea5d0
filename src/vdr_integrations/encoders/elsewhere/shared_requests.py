"""One request for the queries of many callers: a request costs more than a query."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from vdr_integrations.encoders.elsewhere.http_calls import RefusedError
from vdr_integrations.errors import ModelServerError, VdrError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["SharedRequests"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_AT_ONCE = 2
"""Requests on their way: while the model encodes one, the next one waits there."""
_GATHERING_S = 0.005
"""Those who were answered together ask again soon, one after the other: so long the next request
waits for them. A lone caller never waits."""


@dataclass(slots=True, eq=False)
class _Caller(Generic[Item, Result]):
    items: Sequence[Item]
    future: asyncio.Future[list[Result]]
    size: int


@dataclass(slots=True, eq=False)
class _Sent(Generic[Item, Result]):
    callers: list[_Caller[Item, Result]]
    task: asyncio.Task[None] | None = field(default=None)

    def give_up(self) -> None:
        """Cancel the request if nobody waits any more."""
        if self.task is not None and all(one.future.done() for one in self.callers):
            self.task.cancel()


class SharedRequests(Generic[Item, Result]):
    """Puts what waits into one request, as soon as one of a few requests is answered.

    Use it in one event loop.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[list[Result]]],
        *,
        size: Callable[[Item], int],
        most_items: int,
        most_bytes: int,
    ) -> None:
        """Nothing waits yet.

        Args:
            send: Sends one request, and returns a result for each item.
            size: Bytes of an item.
            most_items: Most items of a request; those of one caller are not divided.
            most_bytes: Most bytes of a request.
        """
        self._send = send
        self._size = size
        self._most_items = most_items
        self._most_bytes = most_bytes
        self._waiting: deque[_Caller[Item, Result]] = deque()
        self._sent: set[_Sent[Item, Result]] = set()
        self._expected = 0
        self._timer: asyncio.TimerHandle | None = None

    async def results(self, items: Sequence[Item]) -> list[Result]:
        """The results of the caller's items, in their order.

        Cancelling takes them out, or gives up a request that nobody else waits for. Items that the
        server refuses are the error of their caller alone.
        """
        future: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        caller = _Caller(items, future, sum(map(self._size, items)))
        self._waiting.append(caller)
        self._send_waiting()
        try:
            return await future
        except asyncio.CancelledError:
            if caller in self._waiting:
                self._waiting.remove(caller)
            for sent in self._sent:
                if caller in sent.callers:
                    sent.give_up()
            raise

    def _send_waiting(self) -> None:
        if len(self._waiting) < self._expected and self._timer is not None:
            return
        self._stop_gathering()
        while self._waiting and len(self._sent) < _AT_ONCE:
            sent = _Sent(self._next())
            self._sent.add(sent)
            sent.task = asyncio.ensure_future(self._answer(sent))
            # Also called for a task that is cancelled before it begins.
            sent.task.add_done_callback(lambda _, sent=sent: self._end(sent))

    def _gather(self, callers: int) -> None:
        """Wait a moment until so many ask again."""
        self._stop_gathering()
        if callers > 1:
            self._expected = callers
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_GATHERING_S, self._send_gathered)

    def _send_gathered(self) -> None:
        self._stop_gathering()
        self._send_waiting()

    def _stop_gathering(self) -> None:
        self._expected = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> list[_Caller[Item, Result]]:
        callers = [self._waiting.popleft()]
        items, size = len(callers[0].items), callers[0].size
        while self._waiting:
            items += len(self._waiting[0].items)
            size += self._waiting[0].size
            if items > self._most_items or size > self._most_bytes:
                break
            callers.append(self._waiting.popleft())
        return callers

    async def _answer(self, sent: _Sent[Item, Result]) -> None:
        try:
            await self._answered(sent.callers)
        except BaseException as error:  # noqa: BLE001  # whoever waits must hear of it
            for caller in sent.callers:
                if not caller.future.done():
                    caller.future.set_exception(error)

    def _end(self, sent: _Sent[Item, Result]) -> None:
        self._sent.discard(sent)
        self._gather(len(sent.callers))
        self._send_waiting()

    async def _answered(self, callers: Sequence[_Caller[Item, Result]]) -> None:
        items = [item for caller in callers for item in caller.items]
        try:
            results = await self._send(items)
        except VdrError as error:
            if not _may_be_of_one(error):
                raise
            if len(callers) == 1:
                if not callers[0].future.done():
                    callers[0].future.set_exception(error)
                return
            for caller in callers:  # one of them may be the reason
                if not caller.future.done():
                    await self._answered([caller])
            return
        begin = 0
        for caller in callers:
            end = begin + len(caller.items)
            if not caller.future.done():
                caller.future.set_result(results[begin:end])
            begin = end


def _may_be_of_one(error: VdrError) -> bool:
    """Whether what one caller sent may be the reason; a server that is gone is gone for all."""
    return isinstance(error, RefusedError) or not isinstance(error, ModelServerError)
