"""Result of ``vdr index``: a summary on stdout, failures and warnings on stderr."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vdr_integrations.cli.terminal.clean_text import one_line, shortest_path
from vdr_integrations.cli.terminal.exits import say_error, say_warning
from vdr_integrations.cli.terminal.json_output import say_json

if TYPE_CHECKING:
    from vdr_integrations.index import SyncReport

__all__ = ["show_report", "show_report_as_json", "show_troubles"]


def show_troubles(report: SyncReport) -> None:
    """What could not be indexed, and warnings of pages: tables on a terminal, else lines."""
    if not sys.stderr.isatty():
        for failure in report.failed:
            say_error(str(failure.error))
        for warning in report.warnings:
            say_warning(f"{warning.source} page {warning.page_number}: {warning.message}")
        return
    failures = [
        (one.source, "all" if one.page_number is None else str(one.page_number), one.error.reason)
        for one in report.failed
    ]
    warnings = [(one.source, str(one.page_number), one.message) for one in report.warnings]
    _show_table(("Not indexed", "Page", "Why"), failures)
    _show_table(("Indexed", "Page", "Warning"), warnings)


def _show_table(names: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> None:
    """A table of documents, pages and texts on stderr; nothing if it has no rows."""
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*names)
    for source, page, text in rows:
        table.add_row(Text(shortest_path(source), overflow="fold"), page, Text(one_line(text)))
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
        "warnings": [asdict(one) for one in report.warnings],
        "pages_encoded": report.pages_encoded,
    }
    say_json(found)
