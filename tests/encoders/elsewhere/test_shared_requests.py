"""Requests that many callers share, and what becomes of them when some callers leave."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.patience import HANG_S

from vdr_integrations.encoders.elsewhere.http_calls import RefusedError
from vdr_integrations.encoders.elsewhere.shared_requests import SharedRequests
from vdr_integrations.errors import ModelServerError, QueryTooLongError, VdrError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Server:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.held: list[asyncio.Future[None]] = []
        self.error: VdrError | None = None

    async def answer(self, items: Sequence[str]) -> list[str]:
        self.asked.append([*items])
        if self.error is None or len(self.asked) <= 2:
            self.held.append(asyncio.get_running_loop().create_future())
            await self.held[-1]
        if self.error is not None:
            raise self.error
        return [item.upper() for item in items]

    def go_on(self) -> None:
        for one in self.held:
            if not one.done():
                one.set_result(None)


def requests_to(server: Server) -> SharedRequests[str, str]:
    return SharedRequests(server.answer, size=len, most_items=10, most_bytes=1000)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_caller_that_leaves_as_its_turn_comes_holds_up_nobody() -> None:
    server = Server()
    requests = requests_to(server)
    for _ in range(2):  # as many requests are on their way at a time
        begun = [asyncio.ensure_future(requests.results([text])) for text in "ab"]
        await turns(3)
        waits = asyncio.ensure_future(requests.results(["c"]))
        await turns(3)
        server.held[-2].set_result(None)
        waits.cancel()
        await turns(3)
        server.go_on()
        assert await asyncio.gather(*begun) == [["A"], ["B"]]
        assert waits.cancelled()
    last = asyncio.ensure_future(requests.results(["d"]))
    await turns(3)
    server.go_on()
    assert await asyncio.wait_for(last, HANG_S) == ["D"]


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (ModelServerError("gone"), 3),  # waiting for it takes minutes, and not for each caller
        (RefusedError("too large"), 6),
        (QueryTooLongError("too long"), 6),
    ],
)
async def test_a_server_that_is_gone_is_waited_for_once(error: VdrError, asked: int) -> None:
    server = Server()
    server.error = error
    requests = requests_to(server)
    callers = [asyncio.ensure_future(requests.results([text])) for text in "abcde"]
    await turns(3)
    server.go_on()
    assert await asyncio.gather(*callers, return_exceptions=True) == [error] * 5
    assert len(server.asked) == asked
