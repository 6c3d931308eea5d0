"""Entry point of the ``vdr`` command."""

from __future__ import annotations

import sys

from vdr_integrations.errors import MissingExtraError

__all__ = ["main"]

_PACKAGES_OF_THE_EXTRA = ("typer", "rich", "jinja2")


def main() -> None:
    """Run ``vdr`` with the arguments of the process, and exit."""
    try:
        from vdr_integrations.cli.app import app

        app(prog_name="vdr")
    except ModuleNotFoundError as error:  # commands import some packages only when they run
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES_OF_THE_EXTRA:
            raise
        sys.exit(f"error: {MissingExtraError(package=package, extra='cli', purpose='vdr')}")
