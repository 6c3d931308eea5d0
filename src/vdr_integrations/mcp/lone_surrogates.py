r"""Messages of a client that the SDK takes for no JSON: those with half a surrogate pair.

JSON may say ``"\ud83d"``. The SDK's parser refuses the whole message, and the client would wait for
an answer for ever. Read by Python's own, a call reaches its tool, whose check of the arguments says
what is wrong.
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
    """Hand on what a transport reads, until it ends; read again what it could not."""
    async with reading, server:
        async for message in reading:
            await server.send(_read_again(message))


def _read_again(message: _Message) -> _Message:
    if not isinstance(message, ValidationError):
        return message
    line = message.errors(include_url=False)[0]["input"]
    try:
        return SessionMessage(JSONRPCMessage.model_validate(json.loads(line)))
    except (TypeError, ValueError, RecursionError):
        return message
