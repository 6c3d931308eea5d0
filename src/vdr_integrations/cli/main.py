"""Entry point of the ``vdr`` command."""

from __future__ import annotations

import os
import sys

from vdr_integrations.errors import MissingExtraError

__all__ = ["main"]

_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells count."""
_PACKAGES_OF_THE_EXTRA = ("typer", "rich", "jinja2")


def main() -> None:
    """Run the command; say what to install if the extra is missing."""
    try:
        from vdr_integrations.cli.app import app

        app(prog_name="vdr")
    except KeyboardInterrupt:  # before a command begins, or a second one while a command ends
        _end_at_once()
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            _end_at_once()
        raise
    except ModuleNotFoundError as error:  # commands import some packages only when they run
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES_OF_THE_EXTRA:
            raise
        sys.exit(f"error: {MissingExtraError(package=package, extra='cli', purpose='vdr')}")


def _end_at_once() -> None:
    """Leave without taking Python and torch apart, which takes a second; all is closed by now."""
    try:
        from vdr_integrations.pages.processes.process_pool import close_pools

        close_pools()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:  # also at a second interrupt
        os._exit(_INTERRUPTED)
