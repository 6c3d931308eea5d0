"""Runs ``vdr`` in a pseudo-terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Literal, NamedTuple

from tests.patience import HANG_S

from vdr_integrations.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest
    from tests.prepared.python import PreparedPython

__all__ = ["Seen", "in_terminal", "in_terminal_here"]

_VARIABLES = ("TERM", "TERM_PROGRAM", "LC_TERMINAL", "COLORTERM", "KITTY_WINDOW_ID", "TMUX")


class Seen(NamedTuple):
    """Exit code of a command, text on the terminal, and text on the other stream."""

    exit_code: int
    terminal: str
    other: str


def in_terminal(
    python: PreparedPython,
    *arguments: object,
    stream: Literal["stdout", "stderr"] = "stdout",
    environment: Mapping[str, str] | None = None,
) -> Seen:
    """Run ``vdr`` in a process, with a pseudo-terminal as one of its streams.

    Args:
        python: What runs it.
        arguments: Arguments of ``vdr``.
        stream: Stream that is a pseudo-terminal; the other one is a pipe.
        environment: Variables to add to those of this process; the ones that describe its terminal
            are removed.
    """
    import pty

    inherited = {name: value for name, value in os.environ.items() if name not in _VARIABLES}
    controller, terminal = pty.openpty()
    with python.start(
        *("-m", "vdr_integrations", *map(str, arguments)),
        stdin=subprocess.DEVNULL,
        stdout=terminal if stream == "stdout" else subprocess.PIPE,
        stderr=terminal if stream == "stderr" else subprocess.PIPE,
        env={**inherited, **(environment or {})},
    ) as process:
        os.close(terminal)
        seen = _until_closed(controller)
        out, err = process.communicate(timeout=HANG_S)
    other = err if stream == "stdout" else out
    return Seen(process.wait(), seen, (other or b"").decode())


def in_terminal_here(
    monkeypatch: pytest.MonkeyPatch, *arguments: object, environment: Mapping[str, str]
) -> Seen:
    """Like :func:`in_terminal`, with stdout, in this process, which has imported torch already."""
    import pty

    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    controller, terminal = pty.openpty()
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append(_until_closed(controller)))
    reader.start()
    errors = io.StringIO()
    with monkeypatch.context() as streams, open(terminal, "w", encoding="utf-8") as stdout:  # noqa: PTH123  # a descriptor
        streams.setattr(sys, "stdout", stdout)
        streams.setattr(sys, "stderr", errors)
        code = app([str(one) for one in arguments], prog_name="vdr", standalone_mode=False)
    reader.join()
    return Seen(code or 0, seen[0], errors.getvalue())


def _until_closed(controller: int) -> str:
    seen = b"".join(iter(lambda: _read(controller), b""))
    os.close(controller)
    return seen.decode().replace("\r\n", "\n")


def _read(controller: int) -> bytes:
    try:
        return os.read(controller, 65_536)
    except OSError:  # Linux's end of a terminal
        return b""
