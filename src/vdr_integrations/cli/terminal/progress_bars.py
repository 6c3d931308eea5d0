"""Progress on stderr, if stderr is a terminal: bars and notices."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.cli.terminal.clean_text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rich.progress import Progress, TaskID

    from vdr_integrations.index import SyncProgress

__all__ = ["indexing_progress", "notice", "verifying_progress"]

_NAME_CHARACTERS = 32


def notice(message: str) -> None:
    """Write a line to stderr, if stderr is a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{one_line(message)}\n")


@contextmanager
def indexing_progress() -> Generator[Callable[[SyncProgress], None]]:
    """A bar on stderr: documents done, pages per second, and the time left, by documents.

    Nothing is shown if stderr is not a terminal.
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
def verifying_progress() -> Generator[Callable[[int, int], None]]:
    """A bar on stderr: documents that ``vdr verify`` has read, and the time left.

    Nothing is shown if stderr is not a terminal.
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
