"""What a loader does with files and pages that cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

from vdr_integrations.errors import OptionError, PageError, PageStoreError

__all__ = ["ErrorHandler", "LoadErrors", "OnError", "error_handler", "raise_error"]

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


class LoadErrors:
    """Hands the errors of one run of a loader to ``on_error``.

    A page store that cannot be written to fails for each page, and no page is the cause. So
    ``"warn"`` logs only the first of these errors as a warning, the others at the level DEBUG, and
    :meth:`end` does not let the run end with nothing.
    """

    def __init__(self, on_error: OnError) -> None:
        """Begin a run.

        Raises:
            OptionError: See :func:`error_handler`.
        """
        self._handle = error_handler(on_error)
        self._only_logs = on_error == "warn"
        self._of_store: PageStoreError | None = None

    def __call__(self, error: PageError) -> None:
        """Handle an error.

        Raises:
            PageError: ``on_error`` raises it.
        """
        if not self._only_logs or not isinstance(error, PageStoreError):
            self._handle(error)
        elif self._of_store is None:
            self._of_store = error
            _logger.warning("left out: %s Further pages are logged at the level DEBUG.", error)
        else:
            _logger.debug("left out: %s", error)

    def end(self, *, found_pages: bool) -> None:
        """End the run.

        Args:
            found_pages: Whether the run gave a page.

        Raises:
            PageStoreError: It gave none, and errors of the page store were only logged.
        """
        if self._of_store is not None and not found_pages:
            raise self._of_store
