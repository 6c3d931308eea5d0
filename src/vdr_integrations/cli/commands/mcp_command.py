"""``vdr mcp``: serve an index over the Model Context Protocol."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NoReturn

from vdr_integrations.cli.options.common_options import (  # typer reads them
    DebugOption,
    DeviceOption,
    DtypeOption,
    HybridOption,
    IndexesOption,
    ModelPlaceOption,
    PageMemoryOption,
    PageTimeoutOption,
    PasswordOption,
    WorkersOption,
    password_in,
)
from vdr_integrations.cli.terminal.exits import reported
from vdr_integrations.cli.terminal.interrupts import end_at_once
from vdr_integrations.encoders import EncoderOptions
from vdr_integrations.pages.process_limits import process_limits

if TYPE_CHECKING:
    from vdr_integrations.agents.page_service import PageService

__all__ = ["mcp_command"]


def mcp_command(
    *,
    index: IndexesOption,
    model: ModelPlaceOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    hybrid: HybridOption = False,
    password_env: PasswordOption = None,
    workers: WorkersOption = None,
    page_timeout: PageTimeoutOption = None,
    page_memory: PageMemoryOption = None,
    debug: DebugOption = False,
) -> None:
    """Serve an index to agents (Model Context Protocol over stdin and stdout), read-only."""
    settings = EncoderOptions(model=model, device=device, dtype=dtype)
    with reported(debug=debug):
        from vdr_integrations.mcp.server import MCP_LIMITS, serve_stdio

        password = password_in(password_env)
        limits = process_limits(
            render_workers=workers, page_timeout_s=page_timeout, page_memory_mb=page_memory
        )

        def open_service() -> PageService:
            from vdr_integrations.agents.page_service import PageService
            from vdr_integrations.retrieval import PageSearcher

            # It opens the index when it is needed: an index that cannot be opened is the error of
            # each call, because clients show no other errors to the user.
            searcher = PageSearcher(
                index, encoder=settings, password=password, process_limits=limits
            )
            return PageService(searcher, limits=MCP_LIMITS, hybrid=hybrid)

        # The SDK waits for the next line of stdin, and nothing but a new line ends that.
        signal.signal(signal.SIGINT, _end)
        serve_stdio(open_service)


def _end(*_: object) -> NoReturn:
    end_at_once()
