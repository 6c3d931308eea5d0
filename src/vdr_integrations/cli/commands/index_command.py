"""``vdr index``: bring an index up to date with documents."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from pathlib import Path  # noqa: TC003  # typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from vdr_integrations.cli.options.bank_option import parse_question_bank
from vdr_integrations.cli.options.common_options import (
    DebugOption,
    DeviceOption,
    DtypeOption,
    IndexesOption,
    JsonOption,
    PageMemoryOption,
    PageTimeoutOption,
    PasswordOption,
    WaitOption,
    password_in,
)
from vdr_integrations.cli.options.compression_option import COMPRESSION_HELP, parse_compression
from vdr_integrations.cli.terminal.exits import ExitCode, reported, say_error
from vdr_integrations.cli.terminal.sync_report_display import (
    show_missing,
    show_report,
    show_report_as_json,
    show_troubles,
)
from vdr_integrations.defaults import DEFAULT_DENSE_MODEL, DEFAULT_LATE_MODEL
from vdr_integrations.encoders import EncoderOptions
from vdr_integrations.errors import IndexStoreError, OptionError

if TYPE_CHECKING:
    from collections.abc import Generator


__all__ = ["index_command"]


def index_command(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS...",
            help="PDFs, images, folders and globs; with --ray also URLs, such as "
            "s3://bucket/reports.",
        ),
    ],
    *,
    index: IndexesOption,
    model: Annotated[
        str | None,
        typer.Option(
            envvar="VDR_MODEL",
            help=f"Model: Hub id, folder, 'nano', or the address of vdr serve, such as "
            f"http://localhost:8080. (default: the model of the index; for a new index "
            f"{DEFAULT_DENSE_MODEL}, or {DEFAULT_LATE_MODEL} with --late-interaction)",
        ),
    ] = None,
    late_interaction: Annotated[
        bool,
        typer.Option(
            "--late-interaction",
            help="Make a new index with one vector per token (late interaction) instead of one "
            "per page. An existing index keeps its kind.",
        ),
    ] = False,
    compression: Annotated[
        str | None, typer.Option(help=f"For a new late-interaction index. {COMPRESSION_HELP}")
    ] = None,
    question_bank: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="For a new late-interaction index: a text file with one question a line, as users "
            "ask them. What a page gets from any of them is subtracted from its scores. 'none': "
            "scores are MaxSim. (default: what the model brings)",
        ),
    ] = None,
    recall: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="For a new late-interaction index: also keep one vector per page, made by this "
            "model, to select candidates with (vdr search --recall). --dimension then applies to "
            "these vectors.",
        ),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of the model on the Hub.")
    ] = None,
    dimension: Annotated[
        int | None, typer.Option(min=1, help="Shorten vectors to this many numbers (Matryoshka).")
    ] = None,
    max_visual_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Pixel budget of a page, in visual tokens. (default: the budget of the index; for "
            "a new index 768)",
        ),
    ] = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of processes that open and draw files, with limits, before the model "
            "needs the pages. 0: no processes and no limits, for files that you trust. (default: "
            "1; with a GPU, as many as it needs)",
        ),
    ] = None,
    page_timeout: PageTimeoutOption = None,
    page_memory: PageMemoryOption = None,
    drop_missing: Annotated[
        bool,
        typer.Option(
            "--drop-missing",
            help="Also remove documents whose files cannot be found, although perhaps only a disk "
            "is not mounted: the folder is empty, or does not exist.",
        ),
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Index with the machines of a Ray cluster: 'auto' is that of this machine, "
            "'local' starts one here; else the address of its head. The index is then a set of "
            "folders, which vdr search --index reads as one.",
        ),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --ray: number of folders of a new set. (default: one for each encoder)",
        ),
    ] = None,
    encoders: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --ray: number of actors that hold the model, with a GPU each if there are "
            "any. (default: one for each GPU of the cluster, or one)",
        ),
    ] = None,
    password_env: PasswordOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Index documents, or update an index. Unchanged documents are skipped, gone ones removed.

    Moved files are not encoded again.

    Exit codes: 0 done, 1 error, 2 wrong usage, 3 some files or pages could not be indexed, or
    files of indexed documents cannot be found.
    """
    settings = EncoderOptions(
        model=model,
        revision=revision,
        dimension=dimension,
        max_visual_tokens=max_visual_tokens,
        device=device,
        dtype=dtype,
    )
    with reported(debug=debug), _told_what_is_kept(index):
        from vdr_integrations.cli.commands.index_run import IndexRun
        from vdr_integrations.cli.options.indexes import Kind, only_folder

        kind = Kind(
            late_interaction,
            None if compression is None else parse_compression(compression),
            recall,
            parse_question_bank(question_bank),
        )
        run = IndexRun(
            only_folder(index),
            paths,
            settings,
            kind,
            password=password_in(password_env),
            workers=workers,
            page_timeout_s=page_timeout,
            page_memory_mb=page_memory,
            drop_missing=drop_missing,
            wait_s=wait,
        )
        if ray is not None:
            report = run.on_cluster(ray, shards=shards, encoders=encoders)
        elif shards is None and encoders is None:
            report = run.on_this_machine()
        else:
            raise OptionError("--shards and --encoders are for --ray; leave them out, or add it.")
    show_troubles(report)
    show_missing(report)
    if not (report.indexed or report.removed or report.failed or report.missing):
        say_error(f"no PDFs or images in {', '.join(paths)}.")
        raise typer.Exit(ExitCode.ERROR)
    if as_json:
        show_report_as_json(report)
    else:
        show_report(report)
    if report.failed or report.missing:
        raise typer.Exit(ExitCode.PARTIAL if report.indexed else ExitCode.ERROR)


@contextmanager
def _told_what_is_kept(paths: list[Path]) -> Generator[None]:
    """Say after an interrupt what is in the index, and what is kept for the next run."""
    try:
        yield
    except KeyboardInterrupt:
        from vdr_integrations.cli.options.indexes import opened_index

        kept, pages = 0, 0
        with suppress(IndexStoreError), opened_index(paths) as index:
            kept = len(index.documents(skip_altered=True))
            pages = index.unfinished.kept().pages
        found = "1 document" if kept == 1 else f"{kept} documents"
        if pages:
            found += f" and {pages} page{'' if pages == 1 else 's'} of unfinished documents"
        sys.stderr.write(f"stopped; {found} kept, run again to go on\n")
        raise
