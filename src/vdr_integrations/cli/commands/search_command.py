"""``vdr search``: the pages that answer a question."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path  # noqa: TC003  # typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from vdr_integrations.cli.options.common_options import (
    DebugOption,
    DeviceOption,
    DtypeOption,
    HybridOption,
    IndexesOption,
    ModelPlaceOption,
    PageMemoryOption,
    PageTimeoutOption,
    PasswordOption,
    WorkersOption,
    password_in,
)
from vdr_integrations.cli.options.questions import STDIN, asked_questions
from vdr_integrations.cli.terminal import hit_display as display
from vdr_integrations.cli.terminal.exits import reported, say_warning
from vdr_integrations.cli.terminal.output_files import STDOUT
from vdr_integrations.defaults import DEFAULT_HITS
from vdr_integrations.encoders import EncoderOptions
from vdr_integrations.errors import OptionError
from vdr_integrations.pages.process_limits import process_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from vdr_integrations.retrieval import PageSearcher
    from vdr_integrations.types import Hit

    _Keep = Callable[[str, Sequence[Hit]], None]

__all__ = ["search_command"]


def search_command(
    question: Annotated[
        str,
        typer.Argument(
            help="Question in plain words; '-' reads questions from stdin, one per line."
        ),
    ],
    *,
    index: IndexesOption,
    k: Annotated[int, typer.Option("-k", min=1, help="Maximum number of hits.")] = DEFAULT_HITS,
    exhaustive: Annotated[
        bool,
        typer.Option(
            "--exhaustive",
            help="Score every page of a late-interaction index; dense indexes always do.",
        ),
    ] = False,
    recall: Annotated[
        bool,
        typer.Option(
            "--recall",
            help="Use the dense vectors to select candidates first. The index must have been made "
            "with --recall.",
        ),
    ] = False,
    recall_model: Annotated[
        str | None,
        typer.Option(
            help="Hub id or folder of the dense model, if it has moved, or the address of vdr "
            "serve. (default: as in the index)"
        ),
    ] = None,
    hybrid: HybridOption = False,
    correction: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=2.0,
            help="Share of what a page gets from any question that is subtracted from its score; 0 "
            "gives MaxSim alone. (default: as in the index)",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: one array per question, best hit first.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            help="Also write an HTML report: the pages, and where the words match (late "
            "interaction only). It is one file that you can share.",
        ),
    ] = None,
    thumbnails: Annotated[
        bool,
        typer.Option("--thumbnails", help="Draw small images of the pages in the terminal."),
    ] = False,
    password_env: PasswordOption = None,
    workers: WorkersOption = None,
    page_timeout: PageTimeoutOption = None,
    page_memory: PageMemoryOption = None,
    model: ModelPlaceOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    debug: DebugOption = False,
) -> None:
    """Find the pages that answer a question."""
    settings = EncoderOptions(model=model, device=device, dtype=dtype)
    by_recall = recall or recall_model is not None
    with reported(debug=debug):
        from vdr_integrations.cli.options.indexes import opened_index, shown_places
        from vdr_integrations.cli.terminal.thumbnails import terminal_protocol, thumbnail_text
        from vdr_integrations.retrieval import PageSearcher

        if report == STDOUT:
            raise OptionError("--report -: the hits go to stdout; name a file for the report.")
        if thumbnails and as_json:
            raise OptionError("--thumbnails and --json exclude each other; choose one.")
        if by_recall and exhaustive:
            raise OptionError("--recall and --exhaustive exclude each other; choose one.")
        reporting = _reporting(report)
        protocol = terminal_protocol() if thumbnails else None
        questions, password = asked_questions(question), password_in(password_env)
        with opened_index(index) as opened:
            searcher = PageSearcher(
                opened,
                encoder=settings,
                recall=replace(settings, model=recall_model) if by_recall else None,
                password=password,
                process_limits=process_limits(
                    render_workers=workers, page_timeout_s=page_timeout, page_memory_mb=page_memory
                ),
            )
            drawn = None if protocol is None else thumbnail_text(searcher.pictures, protocol)
            if opened.is_empty:
                say_warning(
                    f"index {shown_places(index)} has no pages. Add some: vdr index FOLDER --index "
                    f"..."
                )
                found = [[] for _ in questions]
            else:
                found = searcher.search_many(
                    questions, k=k, exhaustive=exhaustive, hybrid=hybrid, correction=correction
                )
            with reporting(searcher) as keep:
                for asked, hits in zip(questions, found, strict=True):
                    keep(asked, hits)
                    if as_json:
                        display.show_hits_as_json(hits)
                    else:
                        heading = asked if question == STDIN else None
                        display.show_hits(hits, question=heading, thumbnail=drawn)


def _reporting(path: Path | None) -> Callable[[PageSearcher], AbstractContextManager[_Keep]]:
    """What collects the hits for a report; it takes time to import, so only if one is wanted."""
    if path is None:
        return lambda _searcher: nullcontext(lambda _question, _hits: None)
    from vdr_integrations.cli.report.search_report import reporting

    return partial(reporting, path)
