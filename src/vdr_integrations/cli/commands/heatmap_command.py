"""``vdr heatmap``: why a page was found, as a picture."""

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
    PasswordOption,
    password_in,
)
from vdr_integrations.cli.options.model_settings import ModelSettings
from vdr_integrations.cli.options.questions import asked_questions
from vdr_integrations.cli.terminal.clean_text import one_line
from vdr_integrations.cli.terminal.exits import reported
from vdr_integrations.cli.terminal.json_output import say_json
from vdr_integrations.cli.terminal.output_files import STDOUT, write_picture
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index import HeatMap, LateInteractionIndex
    from vdr_integrations.types import Hit

__all__ = ["heatmap_command"]


def heatmap_command(
    question: Annotated[
        str,
        typer.Argument(help="Question in plain words; '-' reads it from stdin."),
    ],
    *,
    index: Annotated[
        Path,
        typer.Option("--index", envvar="VDR_INDEX", help="Folder of a late-interaction index."),
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
            "--source", help="Document of the page, instead of --hit; it need not be a hit."
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
        int, typer.Option("--boxes", min=0, help="Outline this many of the strongest regions.")
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: the page, its words and its regions.")
    ] = False,
    model: ModelPlaceOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    password_env: PasswordOption = None,
    debug: DebugOption = False,
) -> None:
    """Draw where on a page the words of a question match."""
    settings = ModelSettings(model=model, device=device, dtype=dtype)
    with reported(debug=debug):
        from vdr_integrations.cli.options.indexes import opened_index
        from vdr_integrations.index import LateInteractionIndex
        from vdr_integrations.index.page_pictures import page_picture

        asked, password = asked_questions(question), password_in(password_env)
        if len(asked) > 1:
            raise OptionError(f"a heat map is of one question, and stdin has {len(asked)}.")
        if out == STDOUT and as_json:
            raise OptionError("--out - is the picture alone; write JSON by another call.")
        if (source is None) != (page is None) or (hit is not None and source is not None):
            raise OptionError("name the page by --hit, or by --source and --page together.")
        with opened_index(index) as opened:
            if not isinstance(opened, LateInteractionIndex):
                raise OptionError(
                    f"index {index} keeps one vector a page, which says nothing of places on it; "
                    f"heat maps need an index made with --late-interaction."
                )
            encoder, _, _ = settings.load_late(opened.manifest)
            opened.manifest.check(encoder, index_path=opened.path)
            (query,) = encoder.encode_queries(asked)
            found = (
                _ranked(opened, query, 1 if hit is None else hit)
                if source is None or page is None
                else _named(opened, query, source, page)
            )
            picture = page_picture(found, budget=encoder.pixel_budget, password=password)
            tokens = encoder.query_tokens(asked[0])
            drawn = found.heatmap(query_tokens=tokens, page=picture, encoder=encoder)
            chosen = int(token) if token is not None and token.isdecimal() else token
            # A word of digits is more likely meant than the token of that number.
            if token is not None and token in {word.text for word in drawn.words}:
                chosen = token
            png = drawn.png(chosen, boxes=boxes)
            write_picture(png, out)
            if out != STDOUT:
                _show(found, drawn, out, chosen, boxes=boxes, as_json=as_json)


def _ranked(index: LateInteractionIndex, query: NDArray[np.float32], rank: int) -> Hit:
    hits = index.search(query, k=rank)
    if len(hits) < rank:
        raise OptionError(f"--hit {rank}: the question finds {len(hits)} pages.")
    return hits[rank - 1]


def _named(
    index: LateInteractionIndex, query: NDArray[np.float32], source: Path, page_number: int
) -> Hit:
    from vdr_integrations.index.stored_page import page_id

    names = [(source.parent.resolve() / source.name).as_posix(), str(source)]
    hits = index.rerank(query, [page_id(name, page_number) for name in dict.fromkeys(names)])
    if not hits:
        raise OptionError(
            f"{source} page {page_number} is not in index {index.path}; see what is with "
            f"vdr search, or index it first."
        )
    return hits[0]


def _show(
    hit: Hit, drawn: HeatMap, out: Path, token: int | str | None, *, boxes: int, as_json: bool
) -> None:
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
        "words": words,
        "regions": [region._asdict() for region in regions],
    }
    say_json(shown)
