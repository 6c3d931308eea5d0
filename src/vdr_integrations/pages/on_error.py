"""What a loader does with files and pages that cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

from vdr_integrations.errors import OptionError, PageError

__all__ = ["ErrorHandler", "OnError", "error_handler", "raise_error"]

_logger = logging.getLogger(__name__)

ErrorHandler = Callable[[PageError], object]
"""Raises, or returns to go on without the file or page."""

OnError = Literal["raise", "warn"] | ErrorHandler
"""The option as callers give it."""


def raise_error(error: PageError) -> None:
    """Raise it."""
    raise error


def log_error(error: PageError) -> None:
    """Log it as a warning."""
    _logger.warning("left out: %s", error)


def error_handler(on_error: OnError) -> ErrorHandler:
    """The function that ``on_error`` stands for.

    Raises:
        OptionError: Neither ``"raise"``, ``"warn"`` nor a function.
    """
    if callable(on_error):
        return on_error
    handlers: dict[str, ErrorHandler] = {"raise": raise_error, "warn": log_error}
    if on_error not in handlers:
        raise OptionError(
            f"on_error must be 'raise', 'warn' or a function of the error, found {on_error!r}."
        )
    return handlers[on_error]
