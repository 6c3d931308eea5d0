"""A client of the MCP SDK, 1.x or 2.x, that gives answers as the protocol writes them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from mcp import ClientSession
from mcp.shared import exceptions
from mcp.shared.memory import create_client_server_memory_streams

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp.server.lowlevel import Server
    from pydantic import BaseModel

__all__ = ["ProtocolError", "WireSession", "connected"]

_Wire = dict[str, Any]

ProtocolError: type[Exception] = getattr(exceptions, "MCPError", None) or exceptions.McpError
"""What the client raises for an error of the protocol."""


class WireSession:
    """A connected session of the SDK."""

    def __init__(self, session: ClientSession) -> None:
        self._session: Any = session

    async def initialize(self) -> _Wire:
        """Say hello."""
        return _wire(await self._session.initialize())

    async def list_tools(self) -> list[_Wire]:
        """The tools."""
        return _wire(await self._session.list_tools())["tools"]

    async def call_tool(self, name: str, arguments: _Wire) -> _Wire:
        """The result: its content, and whether it is an error."""
        return _wire(await self._session.call_tool(name, arguments))

    async def list_resource_templates(self) -> list[_Wire]:
        """The templates of resources."""
        return _wire(await self._session.list_resource_templates())["resourceTemplates"]

    async def read_resource(self, uri: str) -> _Wire:
        """The one content of a resource."""
        (content,) = _wire(await self._session.read_resource(uri))["contents"]
        return content


def _wire(result: BaseModel) -> _Wire:
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


@asynccontextmanager
async def connected(server: Server[Any]) -> AsyncGenerator[WireSession]:
    """A client of a server in this process."""
    async with (
        create_client_server_memory_streams() as (ours, theirs),
        anyio.create_task_group() as tasks,
    ):
        loose: Any = server
        tasks.start_soon(loose.run, *theirs, loose.create_initialization_options())
        streams: Any = ours
        async with ClientSession(*streams) as session:
            talking = WireSession(session)
            await talking.initialize()
            yield talking
        tasks.cancel_scope.cancel()
