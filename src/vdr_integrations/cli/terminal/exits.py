"""Exit codes, and errors as one line on stderr."""

from __future__ import annotations

import sys
import traceback
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

import typer

from vdr_integrations.cli.terminal.clean_text import one_line
from vdr_integrations.errors import VdrError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["ExitCode", "reported", "say_error", "say_warning"]


class ExitCode(IntEnum):
    """Exit codes of all commands; typer exits with 2 on wrong usage."""

    OK = 0
    ERROR = 1
    USAGE = 2
    PARTIAL = 3


@contextmanager
def reported(*, debug: bool) -> Generator[None]:
    """Turn errors that the user can act on into one line on stderr and exit code 1.

    Errors of the program itself pass through, with their traceback. If stdout is closed
    (``| head``), typer ends the program without a message.

    Args:
        debug: Also show the traceback.

    Raises:
        Exit: Instead of the error.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (VdrError, OSError, MemoryError) as error:
        if debug:
            traceback.print_exc()
        say_error(str(error) or type(error).__name__)
        raise typer.Exit(ExitCode.ERROR) from error


def say_error(message: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(f"error: {one_line(message)}\n")


def say_warning(message: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(f"warning: {one_line(message)}\n")
