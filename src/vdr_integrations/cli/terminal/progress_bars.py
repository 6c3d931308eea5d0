"""Progress on stderr, if stderr is a terminal: bars and notices."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.cli.terminal.clean_text import one_line
from vdr_integrations.cli.terminal.time_left import Pacer, clock_time

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
    """A bar on stderr: pages and documents done, pages per second, and the time left, by pages.

    Nothing is shown if stderr is not a terminal.
    """
    pacer = Pacer()
    counted = ("pages, {task.fields[documents]} documents", "{task.fields[speed]}")
    with _bar("Indexing", *counted) as bar:

        def advance(state: SyncProgress) -> None:
            if bar is None:
                return
            progress, task = bar
            pace = pacer.pace(state)
            speed = pace.pages_per_second
            is_over = state.documents_done == state.documents_total
            progress.update(
                task,
                description=one_line(Path(state.source).name)[:_NAME_CHARACTERS] or "Indexing",
                completed=state.pages_done,
                # A full bar would be a lie while unchanged files are being read.
                total=state.pages_total if is_over else state.pages_total or None,
                documents=f"{state.documents_done}/{state.documents_total}",
                speed="" if speed is None else f"{speed:.1f} pages/s",
                left=clock_time(pace.seconds_left),
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
                left = progress.tasks[task].time_remaining
                progress.update(task, completed=done, total=documents, left=clock_time(left))

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
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        *(TextColumn(text, markup=False) for text in counted),
        TimeElapsedColumn(),
        TextColumn("left {task.fields[left]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        left = clock_time(None)
        task = progress.add_task(doing, total=None, documents="", speed="", left=left)
        yield progress, task
