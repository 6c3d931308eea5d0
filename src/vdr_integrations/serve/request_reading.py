"""Reads requests: no more than is allowed, and only while the client waits."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from vdr_integrations.encoders.elsewhere.wire import unpacked
from vdr_integrations.serve.http_replies import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.requests import Request

    from vdr_integrations.serve.serve_limits import ServeLimits

__all__ = ["SLOWEST_S", "Bodies", "ClientGoneError", "off_the_loop", "while_connected"]

SLOWEST_S = 60
"""How long nothing may come of a body."""
_INLINE_BYTES = 64 * 1024
"""What is shorter is read at once: a change of thread takes longer."""

T = TypeVar("T")
Body = TypeVar("Body", bound=BaseModel)


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class Bodies:
    """Reads bodies, as many at a time as there is memory for."""

    def __init__(self, limits: ServeLimits) -> None:
        """Nothing is read yet."""
        self._most_bytes = limits.request_bytes
        self._most_in_all = limits.bodies_bytes
        self._held = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncGenerator[bytes]:
        """The body of a request, unpacked; it counts as held until the block ends.

        Raises:
            RequestError: It is longer than allowed, comes too slowly, is packed in a way that is
                not understood, or too much is held already.
            OptionError: It is not packed as its header says.
        """
        held = _Held(self)
        try:
            yield await self._read(request, held)
        finally:
            self._held -= held.size

    @asynccontextmanager
    async def parsed(self, request: Request, kind: type[Body]) -> AsyncGenerator[Body]:
        """The JSON of a request; see :meth:`body`.

        Raises:
            RequestError: It is not what is needed.
        """
        async with self.body(request) as body:
            try:
                found = await off_the_loop(kind.model_validate_json, body, size=len(body))
            except ValidationError as error:
                raise RequestError(_told(error), status=400) from None
            yield found

    def take(self, size: int) -> None:
        """Hold so many bytes more.

        Raises:
            RequestError: There is no room.
        """
        if self._held + size > self._most_in_all:
            raise RequestError.busy(
                f"the requests that are not answered yet hold {self._held} bytes, and there is "
                f"room for {self._most_in_all}; try again soon."
            )
        self._held += size

    async def _read(self, request: Request, held: _Held) -> bytes:
        parts: list[bytes] = []
        stream = request.stream()
        while True:
            try:
                async with asyncio.timeout(SLOWEST_S):
                    part = await anext(stream, None)
            except TimeoutError:
                raise RequestError(
                    f"nothing came of the body for {SLOWEST_S} s; send it again.", status=408
                ) from None
            except ClientDisconnect:
                raise ClientGoneError from None
            if part is None:
                break
            if held.size + len(part) > self._most_bytes:
                raise RequestError(
                    f"the body has more than {self._most_bytes} bytes; send fewer pages in a "
                    f"request.",
                    status=413,
                )
            held.take(len(part))
            parts.append(part)
        body = b"".join(parts)
        packing = request.headers.get("content-encoding", "identity")
        if packing == "identity":
            return body
        if packing != "deflate":
            raise RequestError(
                f"content-encoding is {packing[:40]!r}; it must be deflate, or be left out.",
                status=415,
            )
        found = await asyncio.to_thread(unpacked, body, most_bytes=self._most_bytes)
        held.take(len(found))
        return found


class _Held:
    """The bytes that one request holds."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.size = 0

    def take(self, size: int) -> None:
        self._bodies.take(size)
        self.size += size


async def off_the_loop(work: Callable[..., T], *arguments: object, size: int) -> T:
    """Do work in a thread if it may take long.

    Args:
        work: What is done.
        arguments: Its arguments.
        size: Bytes that it goes through.
    """
    if size <= _INLINE_BYTES:
        return work(*arguments)
    return await asyncio.to_thread(work, *arguments)


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """The result of ``work``, which is cancelled as soon as the client is gone.

    Raises:
        ClientGoneError: The client is gone.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _told(error: ValidationError) -> str:
    """What is wrong, without what the client has sent."""
    found = [
        f"{'.'.join(str(part) for part in one['loc']) or 'the body'}: {one['msg']}"
        for one in error.errors(include_url=False, include_input=False)[:3]
    ]
    return f"the request cannot be used: {'; '.join(found)}."[:600]
