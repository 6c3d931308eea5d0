"""Runs the application until it is asked to end."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["listening_at", "run_server"]

_LAST_REQUESTS_S = 30
"""How long requests that were begun may take after the server was asked to end."""
_KEEP_ALIVE_S = 75
"""Longer than clients keep a connection that they do not use, so that they close it first."""
_BACKLOG = 2048


def listening_at(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: Name or address of this machine.
        port: 0 selects a free one.

    Raises:
        OptionError: The address is in use, or is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise OptionError(
            f"nothing can listen at {host} port {port} ({why}); choose another --port or --host."
        ) from None


def run_server(app: Starlette, listening: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; requests that were begun are answered first.

    Args:
        app: The application.
        listening: See :func:`listening_at`; it is closed at the end.
    """
    config = uvicorn.Config(
        app,
        ws="none",  # there are none, and old ones of uvicorn are deprecated
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_LAST_REQUESTS_S,
    )
    # uvicorn ends, and then raises the signal again for the handler that was there before.
    signal.signal(signal.SIGTERM, _ended)
    signal.signal(signal.SIGINT, _ended)
    with listening:
        uvicorn.Server(config).run(sockets=[listening])


def _ended(*_: object) -> None:
    """The server has ended already."""
