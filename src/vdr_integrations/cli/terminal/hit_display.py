"""What ``vdr search`` shows on stdout: hits as a table, as lines or as JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from vdr_integrations.cli.terminal.clean_text import one_line, shortest_path
from vdr_integrations.cli.terminal.json_output import say_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vdr_integrations.types import Hit

__all__ = ["show_hits", "show_hits_as_json"]


def show_hits_as_json(hits: Sequence[Hit]) -> None:
    """A JSON array on one line of stdout, best hit first; keys are the attributes of ``Hit``."""
    say_json([hit.to_dict() for hit in hits])


def show_hits(
    hits: Sequence[Hit],
    *,
    question: str | None = None,
    thumbnail: Callable[[Hit], str] | None = None,
) -> None:
    """A table on a terminal; else one line per hit: score, page number and source, with tabs.

    Args:
        hits: Best first.
        question: Written above the hits; None if only one question was asked.
        thumbnail: Returns the text that draws the image of a hit in a terminal. Each hit is then
            a line with its image below, instead of a row of a table.
    """
    if question is not None:
        sys.stdout.write(f"{one_line(question)}\n")
    if thumbnail is not None:
        for hit in hits:
            sys.stdout.write(f"{hit.score:.4f}  {_page(hit)}  {shortest_path(hit.source)}\n")
            sys.stdout.write(thumbnail(hit))
            sys.stdout.flush()
        return
    if not sys.stdout.isatty():
        for hit in hits:
            sys.stdout.write(f"{hit.score:.4f}\t{hit.page_number}\t{one_line(hit.source)}\n")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("Score", "Page", "Document")
    for hit in hits:
        table.add_row(f"{hit.score:.4f}", Text(_page(hit)), Text(shortest_path(hit.source)))
    Console().print(table)


def _page(hit: Hit) -> str:
    label = one_line(hit.page_label)
    named = "" if label == str(hit.page_number) else f" ({label})"
    return f"{hit.page_number}{named} of {hit.total_pages}"
