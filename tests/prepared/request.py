"""What a prepared process is asked for: a program, and what it begins with."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ask", "line_of"]


def ask(
    address: str,
    arguments: Sequence[str],
    standard: Sequence[int],
    *,
    environment: Mapping[str, str],
    folder: str,
    new_session: bool,
) -> socket.socket:
    """Send a program to a server; returns the connection that brings the answers."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    request = json.dumps(
        {
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": folder,
            "new_session": new_session,
        }
    )
    text = request.encode() + b"\n"
    sent = socket.send_fds(connection, [text], list(standard))
    connection.sendall(text[sent:])
    return connection


def line_of(connection: socket.socket) -> bytes:
    """The next line of the answers; nothing if there is none any more."""
    line = b""
    while not line.endswith(b"\n") and (one := connection.recv(1)):
        line += one
    return line
