"""The ``vdr`` program: its global options and its list of commands."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

import vdr_integrations
from vdr_integrations.cli.commands.doctor_command import doctor_command
from vdr_integrations.cli.commands.eval_command import eval_command
from vdr_integrations.cli.commands.heatmap_command import heatmap_command
from vdr_integrations.cli.commands.index_command import index_command
from vdr_integrations.cli.commands.info_command import info_command
from vdr_integrations.cli.commands.mcp_command import mcp_command
from vdr_integrations.cli.commands.models_command import models_command
from vdr_integrations.cli.commands.optimize_command import optimize_command
from vdr_integrations.cli.commands.rm_command import rm_command
from vdr_integrations.cli.commands.search_command import search_command
from vdr_integrations.cli.commands.serve_command import serve_command
from vdr_integrations.cli.commands.show_command import show_command
from vdr_integrations.cli.commands.store_command import store_app
from vdr_integrations.cli.commands.verify_command import verify_command

__all__ = ["app"]

app = typer.Typer(
    help="Search documents by what their pages look like.",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich's boxes make help twice as slow
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:  # noqa: FBT001  # typer passes it by position
    if wanted:
        typer.echo(f"vdr-integrations {vdr_integrations.__version__}")
        raise typer.Exit


@app.callback()
def vdr(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Search documents by what their pages look like."""
    del version  # its callback has printed it
    if isinstance(sys.stdout, TextIOWrapper):
        # Names of documents may hold characters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="replace")


app.command("index")(index_command)
app.command("search")(search_command)
app.command("show")(show_command)
app.command("heatmap")(heatmap_command)
app.command("eval")(eval_command)
app.command("info")(info_command)
app.command("rm")(rm_command)
app.command("verify")(verify_command)
app.command("optimize")(optimize_command)
app.add_typer(store_app, name="store")
app.command("models")(models_command)
app.command("doctor")(doctor_command)
app.command("mcp")(mcp_command)
app.command("serve")(serve_command)
