"""What ``vdr index`` shows: progress on stderr, what was done on stdout, and what failed."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vdr_integrations.cli.terminal.exits import one_line, say_error
from vdr_integrations.cli.terminal.plain_text import say_json, shortest_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rich.progress import Progress, TaskID

    from vdr_integrations.index import SyncProgress, SyncReport

__all__ = [
    "progress_bar",
    "show_failures",
    "show_report",
    "show_report_as_json",
    "verify_progress",
]

_NAME_CHARACTERS = 32


@contextmanager
def progress_bar() -> Generator[Callable[[SyncProgress], None]]:
    """A bar over documents on stderr, pages a second and the time left by documents.

    Nothing where stderr is not a terminal.
    """
    with _bar("Indexing", "documents, {task.fields[pages]} pages", "{task.fields[speed]}") as bar:

        def advance(state: SyncProgress) -> None:
            if bar is None:
                return
            progress, task = bar
            name = one_line(Path(state.source).name)[:_NAME_CHARACTERS]
            progress.update(
                task,
                description=name or "Indexing",
                completed=state.documents_done,
                total=state.documents_total,
                pages=state.pages_encoded,
                speed=_speed(state.pages_encoded, progress.tasks[task].elapsed),
            )

        yield advance


@contextmanager
def verify_progress() -> Generator[Callable[[int, int], None]]:
    """A bar over the documents that ``vdr verify`` has read, on stderr, with the time left.

    Nothing where stderr is not a terminal.
    """
    with _bar("Verifying", "documents") as bar:

        def advance(done: int, documents: int) -> None:
            if bar is not None:
                progress, task = bar
                progress.update(task, completed=done, total=documents)

        yield advance


@contextmanager
def _bar(doing: str, *counted: str) -> Generator[tuple[Progress, TaskID] | None]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        *(TextColumn(text, markup=False) for text in counted),
        TimeElapsedColumn(),
        TextColumn("left", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress, progress.add_task(doing, total=None, pages=0, speed="")


def _speed(pages: int, elapsed_s: float | None) -> str:
    return f"{pages / elapsed_s:.1f} pages/s" if pages and elapsed_s else ""


def show_failures(report: SyncReport) -> None:
    """What is not in the index and why, on stderr: a table on a terminal, else lines."""
    if not report.failed:
        return
    if not sys.stderr.isatty():
        for failure in report.failed:
            say_error(str(failure.error))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("Not indexed", "Page", "Why")
    for failure in report.failed:
        table.add_row(
            Text(shortest_path(failure.source), overflow="fold"),
            "all" if failure.page_number is None else str(failure.page_number),
            Text(one_line(failure.error.reason)),
        )
    Console(stderr=True).print(table)


def show_report(report: SyncReport) -> None:
    """One line on stdout: what an indexing run did."""
    failures = f", {len(report.failed)} failed" if report.failed else ""
    sys.stdout.write(
        f"{len(report.added)} added, {len(report.changed)} changed, "
        f"{len(report.unchanged)} unchanged, {len(report.removed)} removed{failures}; "
        f"{report.pages_encoded} pages encoded\n"
    )


def show_report_as_json(report: SyncReport) -> None:
    """The same with the names of the documents, as one line of JSON."""
    found: dict[str, Any] = {
        "added": report.added,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "failed": [
            {"source": one.source, "page_number": one.page_number, "reason": one.error.reason}
            for one in report.failed
        ],
        "pages_encoded": report.pages_encoded,
    }
    say_json(found)
