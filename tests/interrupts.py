"""Processes that the tests interrupt."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["interruptible"]


@contextmanager
def interruptible() -> Generator[None]:
    """Let processes that are started in the block receive SIGINT.

    A shell that runs the tests in the background ignores it for them and their children.
    """
    if sys.platform == "win32":
        pytest.skip("Windows sends no SIGINT to one process")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
