"""Entry point of the ``vdr`` command."""

from __future__ import annotations

import sys

from vdr_integrations.cli.terminal.interrupts import INTERRUPTED, end_at_once
from vdr_integrations.errors import MissingExtraError

__all__ = ["main"]

_PACKAGES_OF_THE_EXTRA = ("typer", "rich", "jinja2")


def main() -> None:
    """Run the command; say what to install if the extra is missing."""
    try:
        from vdr_integrations.cli.app import app

        app(prog_name="vdr")
    except KeyboardInterrupt:  # before a command begins, or a second one while a command ends
        end_at_once()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            end_at_once()
        raise
    except ModuleNotFoundError as error:  # commands import some packages only when they run
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES_OF_THE_EXTRA:
            raise
        sys.exit(f"error: {MissingExtraError(package=package, extra='cli', purpose='vdr')}")
