"""Processes that the tests interrupt."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["interruptible"]


@contextmanager
def interruptible() -> Generator[None]:
    """Let processes that are started in the block receive SIGINT.

    A shell that runs the tests in the background ignores it for them and their children.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
