"""The commands of ``vdr`` and their options."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path  # noqa: TC003  # typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

import vdr_integrations
from vdr_integrations.cli.commands.doctor_command import doctor_command
from vdr_integrations.cli.commands.heatmap_command import heatmap_command
from vdr_integrations.cli.commands.info_command import info_command
from vdr_integrations.cli.commands.mcp_command import mcp_command
from vdr_integrations.cli.commands.optimize_command import optimize_command
from vdr_integrations.cli.commands.rm_command import rm_command
from vdr_integrations.cli.commands.search_command import search_command
from vdr_integrations.cli.commands.show_command import show_command
from vdr_integrations.cli.commands.verify_command import verify_command
from vdr_integrations.cli.options.common_options import (
    DebugOption,
    DeviceOption,
    DtypeOption,
    IndexOption,
    JsonOption,
    PasswordOption,
    WaitOption,
    password_in,
)
from vdr_integrations.cli.options.compression_option import COMPRESSION_HELP, parse_compression
from vdr_integrations.cli.options.model_settings import (
    DEFAULT_LATE_MODEL,
    DEFAULT_MODEL,
    ModelSettings,
)
from vdr_integrations.cli.terminal import hit_display as display
from vdr_integrations.cli.terminal import sync_display as index_display
from vdr_integrations.cli.terminal.exits import ExitCode, reported, say_error

if TYPE_CHECKING:
    from vdr_integrations.cli.options.indexes import Kind
    from vdr_integrations.index import SyncReport

__all__ = ["app"]

app = typer.Typer(
    help="Search documents by what their pages look like.",
    no_args_is_help=True,
    rich_markup_mode=None,  # help in rich's boxes takes twice as long to come
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:  # noqa: FBT001  # typer's callbacks are called this way
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
    del version  # its callback has acted
    if isinstance(sys.stdout, TextIOWrapper):
        # Names of documents are of any script; a terminal's encoding is not.
        sys.stdout.reconfigure(errors="replace")


@app.command("index")
def index_command(
    paths: Annotated[list[Path], typer.Argument(help="PDFs, images, folders and globs of them.")],
    *,
    index: IndexOption,
    model: Annotated[
        str | None,
        typer.Option(
            envvar="VDR_MODEL",
            help=f"Hub id, folder or 'nano'. (default: that of the index; for a new one "
            f"{DEFAULT_MODEL}, with --late-interaction {DEFAULT_LATE_MODEL})",
        ),
    ] = None,
    late_interaction: Annotated[
        bool,
        typer.Option(
            "--late-interaction",
            help="Make the index of one vector a token (ColQwen2), not one a page. One that is "
            "there keeps its kind.",
        ),
    ] = False,
    compression: Annotated[
        str | None, typer.Option(help=f"Of a new late-interaction index. {COMPRESSION_HELP}")
    ] = None,
    recall: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Of a new late-interaction index: keep this model's one vector of a page too, to "
            "bring candidates by (search --recall); --dimension is then of it.",
        ),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of the model on the hub.")
    ] = None,
    dimension: Annotated[
        int | None, typer.Option(min=1, help="Shorten vectors to this many numbers (Matryoshka).")
    ] = None,
    max_visual_tokens: Annotated[
        int | None, typer.Option(min=1, help="Pixel budget of a page. (default: 768)")
    ] = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes that draw PDF pages ahead of the model. (default: as many as a GPU "
            "needs, none on a CPU)",
        ),
    ] = None,
    page_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="After which one of these processes gives a page up. (default: 60)",
        ),
    ] = None,
    password_env: PasswordOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Index documents: what has not changed is skipped, what is gone is dropped.

    Exit codes: 0 done, 1 error, 2 wrong usage, 3 some files or pages could not be indexed.
    """
    settings = ModelSettings(
        model=model,
        revision=revision,
        dimension=dimension,
        max_visual_tokens=max_visual_tokens,
        device=device,
        dtype=dtype,
    )
    with reported(debug=debug):
        from vdr_integrations.cli.options.indexes import Kind

        kind = Kind(
            late_interaction,
            None if compression is None else parse_compression(compression),
            recall,
        )
        report = _update(
            index,
            paths,
            settings,
            kind,
            password=password_in(password_env),
            workers=workers,
            page_timeout_s=page_timeout,
            wait_s=wait,
        )
    index_display.show_failures(report)
    if not (report.indexed or report.removed or report.failed):
        say_error(f"no PDFs or images in {', '.join(str(path) for path in paths)}.")
        raise typer.Exit(ExitCode.ERROR)
    if as_json:
        index_display.show_report_as_json(report)
    else:
        index_display.show_report(report)
    if report.failed:
        raise typer.Exit(ExitCode.PARTIAL if report.indexed else ExitCode.ERROR)


app.command("search")(search_command)
app.command("show")(show_command)
app.command("heatmap")(heatmap_command)
app.command("info")(info_command)
app.command("rm")(rm_command)
app.command("verify")(verify_command)
app.command("optimize")(optimize_command)
app.command("doctor")(doctor_command)
app.command("mcp")(mcp_command)


def _update(
    path: Path,
    paths: list[Path],
    settings: ModelSettings,
    kind: Kind,
    *,
    password: str | None,
    workers: int | None,
    page_timeout_s: float | None,
    wait_s: float,
) -> SyncReport:
    from vdr_integrations.cli.options.indexes import searcher_to_write
    from vdr_integrations.index import sync_index

    display.notice("Loading the model ...")
    with searcher_to_write(path, settings, kind, wait_s=wait_s) as searcher:
        index, encoder = searcher.index, searcher.page_encoder
        with index_display.progress_bar() as on_progress:
            report = sync_index(
                index,
                encoder,
                paths,
                password=password,
                render_workers=workers,
                page_timeout_s=page_timeout_s,
                on_progress=on_progress,
            )
        if report.changed or report.removed:
            index.optimize()
    return report
