"""Entry point of the ``vdr`` command."""

from __future__ import annotations

import sys

from vdr_integrations.errors import MissingExtraError

__all__ = ["main"]

_OF_THE_EXTRA = ("typer", "rich")


def main() -> None:
    """Run ``vdr`` with the arguments of the process, and exit."""
    try:
        from vdr_integrations.cli.app import app
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _OF_THE_EXTRA:
            raise
        sys.exit(f"error: {MissingExtraError(package=package, extra='cli', purpose='vdr')}")
    app(prog_name="vdr")
