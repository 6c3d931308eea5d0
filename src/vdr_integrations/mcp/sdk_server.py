"""A server of the SDK, 1.x or 2.x, whose functions answer as the protocol writes it.

The two name the fields of their types differently, and are told of functions in different ways.
What goes over the wire is the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from mcp import types
from mcp.server.lowlevel import Server

import vdr_integrations
from vdr_integrations.agents.untrusted_text import error_line
from vdr_integrations.errors import VdrError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

__all__ = ["WireFunction", "sdk_server"]

_Wire = dict[str, Any]

WireFunction = Callable[[_Wire], Awaitable[_Wire]]
"""From the parameters of a request to its result, both with the names of the protocol."""

_Registered = Any
"""The SDK's own functions; their types are those of one release."""


def sdk_server(*, instructions: str, functions: Mapping[str, WireFunction]) -> Server[Any]:
    """A server that answers requests.

    A ``VdrError`` of a function becomes an error of the protocol, with its message in one line.

    Args:
        instructions: For the model that uses the tools.
        functions: By what they do: list_tools, call_tool, list_resources, list_resource_templates,
            read_resource.
    """
    about: dict[str, Any] = {
        "name": "vdr",
        "version": vdr_integrations.__version__,
        "instructions": instructions,
    }
    if not hasattr(Server, "list_tools"):  # since 2.0
        of_2 = {f"on_{name}": _of_release_2(name, one) for name, one in functions.items()}
        return Server(**about, **of_2)
    server: Any = Server(**about)
    for name, function in functions.items():
        server.request_handlers[_type(name, "Request")] = _of_release_1(name, function)
    return server


def _of_release_1(name: str, function: WireFunction) -> _Registered:
    async def answer(request: Any) -> Any:  # noqa: ANN401
        found = await _answered(name, function, request.params)
        wrapped: Any = types.ServerResult
        return found if isinstance(found, types.ErrorData) else wrapped(found)

    return answer


def _of_release_2(name: str, function: WireFunction) -> _Registered:
    async def answer(_: object, params: BaseModel | None) -> BaseModel:
        return await _answered(name, function, params)

    return answer


async def _answered(name: str, function: WireFunction, params: BaseModel | None) -> BaseModel:
    try:
        found = await function({} if params is None else params.model_dump(by_alias=True))
    except VdrError as error:
        return types.ErrorData(code=types.INVALID_PARAMS, message=error_line(error))
    return _type(name, "Result").model_validate(found)


def _type(name: str, what: str) -> type[BaseModel]:
    return getattr(types, "".join(part.title() for part in name.split("_")) + what)
