r"""Reads messages with half a surrogate pair, which the SDK does not accept as JSON.

JSON allows ``"\ud83d"``. The SDK's parser refuses the whole message, and the client would wait for
an answer forever. Python's own parser accepts it, so that the call reaches its tool, which checks
the arguments and says what is wrong.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCMessage
from pydantic import ValidationError

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

__all__ = ["forward_messages"]

_Message = SessionMessage | Exception


async def forward_messages(
    reading: MemoryObjectReceiveStream[_Message], server: MemoryObjectSendStream[_Message]
) -> None:
    """Pass on the messages of a transport until it ends; parse again those that it refused."""
    async with reading, server:
        async for message in reading:
            await server.send(_parsed_again(message))


def _parsed_again(message: _Message) -> _Message:
    if not isinstance(message, ValidationError):
        return message
    line = message.errors(include_url=False)[0]["input"]
    try:
        return SessionMessage(JSONRPCMessage.model_validate(json.loads(line)))
    except (TypeError, ValueError, RecursionError):
        return message
