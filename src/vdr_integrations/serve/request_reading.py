"""Reads requests: no more than is allowed, and only while the client waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from vdr_integrations.encoders.elsewhere.wire import unpacked
from vdr_integrations.serve.http_replies import RequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.requests import Request

__all__ = ["ClientGoneError", "body_of", "parsed_body", "while_connected"]

T = TypeVar("T")
Body = TypeVar("Body", bound=BaseModel)


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


async def body_of(request: Request, *, most_bytes: int) -> bytes:
    """The body of a request, unpacked.

    Raises:
        RequestError: It is longer than allowed, or packed in a way that is not understood.
        OptionError: It is not packed as its header says.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most_bytes:
            raise RequestError(
                f"the body has more than {most_bytes} bytes; send fewer pages in a request.",
                status=413,
            )
        parts.append(part)
    body = b"".join(parts)
    packing = request.headers.get("content-encoding", "identity")
    if packing == "identity":
        return body
    if packing != "deflate":
        raise RequestError(
            f"content-encoding is {packing[:40]!r}; it must be deflate, or be left out.", status=415
        )
    return await asyncio.to_thread(unpacked, body, most_bytes=most_bytes)


async def parsed_body(request: Request, kind: type[Body], *, most_bytes: int) -> Body:
    """The JSON of a request.

    Raises:
        RequestError: It is not what is needed.
    """
    body = await body_of(request, most_bytes=most_bytes)
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise RequestError(_told(error), status=400) from None


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
