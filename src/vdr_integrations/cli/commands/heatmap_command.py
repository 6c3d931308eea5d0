"""``vdr heatmap``: why a page was found, as an image."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  # typer reads it
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vdr_integrations.cli.options.common_options import (
    DebugOption,
    DeviceOption,
    DtypeOption,
    ModelPlaceOption,
    PageMemoryOption,
    PageTimeoutOption,
    PasswordOption,
    WorkersOption,
    named_folders,
    password_in,
)
from vdr_integrations.cli.options.questions import asked_questions
from vdr_integrations.cli.terminal.clean_text import one_line
from vdr_integrations.cli.terminal.exits import reported
from vdr_integrations.cli.terminal.json_output import say_json
from vdr_integrations.cli.terminal.output_files import STDOUT, check_output, write_output
from vdr_integrations.encoders import EncoderOptions
from vdr_integrations.errors import OptionError
from vdr_integrations.pages.process_limits import process_limits

if TYPE_CHECKING:
    from vdr_integrations.retrieval import HeatMap, PageSearcher
    from vdr_integrations.types import Hit

__all__ = ["heatmap_command"]


def heatmap_command(
    question: Annotated[
        str,
        typer.Argument(help="Question in plain words; '-' reads it from stdin."),
    ],
    *,
    index: Annotated[
        list[Path],
        typer.Option(
            "--index",
            envvar="VDR_INDEX",
            metavar="PATH",
            help="Folder of a late-interaction index. Repeat it for several, which are then one "
            "index.",
            callback=named_folders,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="PNG file to write; an existing one is replaced. '-' for stdout."
        ),
    ],
    hit: Annotated[
        int | None,
        typer.Option(
            "--hit", min=1, help="Rank of the page among the hits; 1 is the best. (default: 1)"
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--source", help="Document of the page, instead of --hit; it does not have to be a hit."
        ),
    ] = None,
    page: Annotated[
        int | None, typer.Option("--page", min=1, help="Page number in --source, from 1.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            help="Draw only this word of the question, or this query token (its number, from 0).",
        ),
    ] = None,
    boxes: Annotated[
        int, typer.Option("--boxes", min=0, help="Number of the strongest regions to outline.")
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: the page, its words and its regions.")
    ] = False,
    model: ModelPlaceOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    password_env: PasswordOption = None,
    workers: WorkersOption = None,
    page_timeout: PageTimeoutOption = None,
    page_memory: PageMemoryOption = None,
    debug: DebugOption = False,
) -> None:
    """Draw where on a page the words of a question match."""
    settings = EncoderOptions(model=model, device=device, dtype=dtype)
    with reported(debug=debug):
        from vdr_integrations.cli.options.indexes import opened_index
        from vdr_integrations.retrieval import PageSearcher

        asked, password = asked_questions(question), password_in(password_env)
        limits = process_limits(
            render_workers=workers, page_timeout_s=page_timeout, page_memory_mb=page_memory
        )
        if len(asked) > 1:
            raise OptionError(f"a heat map shows one question, and stdin has {len(asked)}.")
        if out == STDOUT and as_json:
            raise OptionError("--out - writes only the image; print JSON with another call.")
        check_output(out, option="--out", suffix=".png")
        if (source is None) != (page is None) or (hit is not None and source is not None):
            raise OptionError("name the page by --hit, or by --source and --page together.")
        with opened_index(index) as opened:
            searcher = PageSearcher(
                opened, encoder=settings, password=password, process_limits=limits, late_only=True
            )
            found = (
                _ranked(searcher, asked[0], 1 if hit is None else hit)
                if source is None or page is None
                else _named(searcher, asked[0], source, page)
            )
            drawn = searcher.heatmap(asked[0], found)
            chosen = int(token) if token is not None and token.isdecimal() else token
            # The user more likely means a word of digits than the token with that number.
            if token is not None and token in {word.text for word in drawn.words}:
                chosen = token
            png = drawn.png(chosen, boxes=boxes)
            write_output(png, out)
            if out != STDOUT:
                _show(found, drawn, out, chosen, boxes=boxes, as_json=as_json)


def _ranked(searcher: PageSearcher, question: str, rank: int) -> Hit:
    hits = searcher.search(question, k=rank)
    if len(hits) < rank:
        raise OptionError(f"--hit {rank}: the question finds {len(hits)} pages.")
    return hits[rank - 1]


def _named(searcher: PageSearcher, question: str, source: Path, page_number: int) -> Hit:
    from vdr_integrations.cli.options.document_names import matching
    from vdr_integrations.index.stored_page import page_id

    index = searcher.index
    names = matching(str(source), [one.source for one in index.documents(skip_altered=True)])
    if len(names) > 1:
        raise OptionError(
            f"--source {source} names {len(names)} documents, such as {names[0]} and {names[1]}; "
            f"name one by its path."
        )
    pages = index.get([page_id(name, page_number) for name in names])
    if not pages:
        raise OptionError(
            f"{source} page {page_number} is not in index {index.path}; list its documents with "
            f"vdr info --documents, or index this one first."
        )
    (best,) = searcher.rerank(question, pages, top_n=1)
    late = index.late
    corrected = late is not None and late.correction is not None
    return pages[best.place].hit(best.score, "corrected" if corrected else "maxsim")


def _show(
    hit: Hit, drawn: HeatMap, out: Path, token: int | str | None, *, boxes: int, as_json: bool
) -> None:
    from vdr_integrations.retrieval import FoundPage

    regions = drawn.boxes(max(boxes, 1), token=token)
    if not as_json:
        sys.stdout.write(
            f"{hit.score:.4f}\t{hit.page_number}\t{one_line(hit.source)}\t{one_line(str(out))}\n"
        )
        return
    words: list[dict[str, Any]] = [
        {"text": word.text, "tokens": list(word.tokens), "peak": round(drawn.peak(word), 4)}
        for word in drawn.words
    ]
    shown = {
        "out": str(out),
        "hit": hit.to_dict(),
        "citation": FoundPage.of(hit).citation,
        "words": words,
        "regions": [region._asdict() for region in regions],
    }
    say_json(shown)
