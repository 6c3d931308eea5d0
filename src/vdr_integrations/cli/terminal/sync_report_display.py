"""Result of ``vdr index``: a summary on stdout, and what failed on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from vdr_integrations.cli.terminal.clean_text import one_line, shortest_path
from vdr_integrations.cli.terminal.exits import say_error
from vdr_integrations.cli.terminal.json_output import say_json

if TYPE_CHECKING:
    from vdr_integrations.index import SyncReport

__all__ = ["show_failures", "show_report", "show_report_as_json"]


def show_failures(report: SyncReport) -> None:
    """What could not be indexed and why, on stderr: a table on a terminal, else lines."""
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
    """The summary of an indexing run, as one line on stdout."""
    failures = f", {len(report.failed)} failed" if report.failed else ""
    sys.stdout.write(
        f"{len(report.added)} added, {len(report.changed)} changed, "
        f"{len(report.unchanged)} unchanged, {len(report.removed)} removed{failures}; "
        f"{report.pages_encoded} pages encoded\n"
    )


def show_report_as_json(report: SyncReport) -> None:
    """The summary with the names of the documents, as one line of JSON."""
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
