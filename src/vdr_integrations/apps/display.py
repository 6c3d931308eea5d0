"""What ``vdr`` shows: a progress bar on stderr, summaries and hits on stdout."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from vdr_integrations.apps.exits import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from vdr_integrations.index import SyncProgress, SyncReport
    from vdr_integrations.types import Hit

__all__ = ["notice", "progress_bar", "show_hits", "show_hits_as_json", "show_report"]

_NAME_CHARACTERS = 40


@contextmanager
def progress_bar() -> Generator[Callable[[SyncProgress], None]]:
    """A bar over documents on stderr; nothing where stderr is not a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("documents, {task.fields[pages]} pages", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("Indexing", total=None, pages=0)

        def advance(state: SyncProgress) -> None:
            name = one_line(Path(state.source).name)[:_NAME_CHARACTERS]
            progress.update(
                task,
                description=name or "Indexing",
                completed=state.documents_done,
                total=state.documents_total,
                pages=state.pages_encoded,
            )

        yield advance


def notice(message: str) -> None:
    """A line on stderr, where stderr is a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{one_line(message)}\n")


def show_report(report: SyncReport) -> None:
    """One line on stdout: what an indexing run did."""
    failures = f", {len(report.failed)} failed" if report.failed else ""
    sys.stdout.write(
        f"{len(report.added)} added, {len(report.changed)} changed, "
        f"{len(report.unchanged)} unchanged, {len(report.removed)} removed{failures}; "
        f"{report.pages_encoded} pages encoded\n"
    )


def show_hits_as_json(hits: Sequence[Hit]) -> None:
    """A JSON array on one line of stdout, best hit first; keys are the attributes of ``Hit``."""
    sys.stdout.write(json.dumps([hit.to_dict() for hit in hits], ensure_ascii=False) + "\n")


def show_hits(hits: Sequence[Hit], *, question: str | None = None) -> None:
    """A table on a terminal; else a line for each hit: score, page number and source, by tabs.

    Args:
        hits: Best first.
        question: Written above them, where several were asked.
    """
    if question is not None:
        sys.stdout.write(f"{one_line(question)}\n")
    if not sys.stdout.isatty():
        for hit in hits:
            sys.stdout.write(f"{hit.score:.4f}\t{hit.page_number}\t{one_line(hit.source)}\n")
        return
    table = Table("Score", "Page", "Document")
    for hit in hits:
        table.add_row(f"{hit.score:.4f}", Text(_page(hit)), Text(_shortest(hit.source)))
    Console().print(table)


def _page(hit: Hit) -> str:
    label = one_line(hit.page_label)
    named = "" if label == str(hit.page_number) else f" ({label})"
    return f"{hit.page_number}{named} of {hit.total_pages}"


def _shortest(source: str) -> str:
    path, here = Path(source), Path.cwd()
    return one_line(str(path.relative_to(here)) if path.is_relative_to(here) else source)
