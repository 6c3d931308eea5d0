"""Result of ``vdr index``: a summary on stdout, and all that is wrong on stderr."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vdr_integrations.cli.terminal.clean_text import one_line, shortest_path
from vdr_integrations.cli.terminal.exits import say_error, say_warning
from vdr_integrations.cli.terminal.json_output import say_json

if TYPE_CHECKING:
    from vdr_integrations.index import SyncReport

__all__ = ["show_missing", "show_report", "show_report_as_json", "show_troubles"]

_SHOWN = 10
"""How many missing documents are named at most; a disk may hold a hundred thousand."""


def show_troubles(report: SyncReport) -> None:
    """What could not be indexed, and warnings of pages: tables on a terminal, else lines.

    What went wrong with the run itself is a line in both cases.
    """
    for trouble in report.troubles:
        say_warning(f"{trouble}.")
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


def show_missing(report: SyncReport) -> None:
    """The documents whose files cannot be found, and what to do, on stderr."""
    count = len(report.missing)
    if not count:
        return
    for source in report.missing[:_SHOWN]:
        sys.stderr.write(f"missing: {one_line(source)}\n")
    if count > _SHOWN:
        sys.stderr.write(f"missing: and {count - _SHOWN} more (--json lists all)\n")
    documents, they = (
        ("1 document", "It stays") if count == 1 else (f"{count} documents", "They stay")
    )
    say_error(
        f"the files of {documents} cannot be found, but perhaps only a disk is not mounted: the "
        f"folder is empty, or cannot be listed. {they} in the index. Mount the disk and run this "
        f"again; if the files are gone, add --drop-missing."
    )


def show_report(report: SyncReport) -> None:
    """The summary of an indexing run, as one line on stdout."""
    missing = f", {len(report.missing)} missing" if report.missing else ""
    failures = f", {len(report.failed)} failed" if report.failed else ""
    kept = f", {report.pages_kept} kept from an interrupted run" if report.pages_kept else ""
    sys.stdout.write(
        f"{len(report.added)} added, {len(report.changed)} changed, "
        f"{len(report.unchanged)} unchanged, {len(report.removed)} removed{missing}{failures}; "
        f"{report.pages_encoded} pages encoded{kept}\n"
    )


def show_report_as_json(report: SyncReport) -> None:
    """The summary with the names of the documents, as one line of JSON."""
    found: dict[str, Any] = {
        "added": report.added,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "missing": report.missing,
        "failed": [
            {"source": one.source, "page_number": one.page_number, "reason": one.error.reason}
            for one in report.failed
        ],
        "warnings": [asdict(one) for one in report.warnings],
        "troubles": report.troubles,
        "pages_encoded": report.pages_encoded,
        "pages_kept": report.pages_kept,
    }
    say_json(found)
