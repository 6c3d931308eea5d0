r"""Reads messages with half a surrogate pair, which the SDK does not accept as JSON.

JSON allows ``"\ud83d"``. The SDK's parser refuses the whole message, and the client would wait for
an answer forever. Python's own parser accepts it, so that the call reaches its tool, which checks
the arguments and says what is wrong.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCMessage
from pydantic import TypeAdapter, ValidationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.streams.memory import MemoryObjectSendStream

__all__ = ["forward_messages"]

_Message = SessionMessage | Exception
_JSON: TypeAdapter[JSONRPCMessage] = TypeAdapter(JSONRPCMessage)


class _Messages(Protocol):
    """What the transports of the SDK's releases have in common."""

    def __aiter__(self) -> AsyncIterator[_Message]: ...

    async def aclose(self) -> None: ...


async def forward_messages(reading: _Messages, server: MemoryObjectSendStream[_Message]) -> None:
    """Pass on the messages of a transport until it ends; parse again those that it refused."""
    async with aclosing(reading), server:
        async for message in reading:
            await server.send(_parsed_again(message))


def _parsed_again(message: _Message) -> _Message:
    if not isinstance(message, ValidationError):
        return message
    line = message.errors(include_url=False)[0]["input"]
    try:
        return SessionMessage(_JSON.validate_python(json.loads(line)))
    except (TypeError, ValueError, RecursionError):
        return message
