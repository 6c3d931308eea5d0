"""``vdr mcp``: an index as a Model Context Protocol server."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path  # noqa: TC003  # typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from vdr_integrations.apps.exits import reported
from vdr_integrations.apps.settings import ModelSettings
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from vdr_integrations.apps.page_service import PageService

__all__ = ["mcp_command"]


def mcp_command(
    *,
    index: Annotated[
        Path, typer.Option("--index", envvar="VDR_INDEX", help="Folder of the index.")
    ],
    model: Annotated[
        str | None,
        typer.Option(help="Where the model of the index is now. (default: as it was indexed)"),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cuda, cuda:1, mps or cpu; the best there is when left out.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, float16 or bfloat16.")] = "auto",
    password_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Environment variable with the password of encrypted PDFs."
        ),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="VDR_DEBUG", help="Show tracebacks of errors.")
    ] = False,
) -> None:
    """Serve an index to agents (Model Context Protocol over stdin and stdout), read-only."""
    settings = ModelSettings(model=model, device=device, dtype=dtype)
    with reported(debug=debug), ExitStack() as stack:
        from vdr_integrations.apps.mcp_server import MCP_LIMITS, serve_stdio

        if password_env is not None and password_env not in os.environ:
            raise OptionError(f"--password-env names {password_env}, which is not set.")
        password = None if password_env is None else os.environ[password_env]

        def open_service() -> PageService:
            from vdr_integrations.apps.indexes import opened_index
            from vdr_integrations.apps.page_service import PageService

            opened = stack.enter_context(opened_index(index))
            return PageService(opened, settings, limits=MCP_LIMITS, password=password)

        serve_stdio(open_service)
