"""``vdr verify``: check an index for damage, and its documents for changed files."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from vdr_integrations.cli.options.common_options import DebugOption, IndexesOption, JsonOption  # noqa: TC001  # typer reads them
from vdr_integrations.cli.terminal.clean_text import one_line
from vdr_integrations.cli.terminal.exits import ExitCode, reported, say_error
from vdr_integrations.cli.terminal.json_output import say_json
from vdr_integrations.cli.terminal.progress_bars import verifying_progress
from vdr_integrations.errors import IndexFormatError

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.index.verify import Verification

__all__ = ["verify_command"]


def verify_command(
    *, index: IndexesOption, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """Check an index for damage, and its files for changes. Reads all of it; changes nothing.

    Exit codes: 0 intact, 1 damaged or cannot be opened, 2 wrong usage, 3 intact, but files have
    changed or are gone (run vdr index to update the index).
    """
    with reported(debug=debug):
        found = _verified(index)
    if as_json:
        say_json({"ok": not found.problems, **asdict(found)})
    else:
        for problem in found.problems:
            say_error(problem)
        for file in found.files:
            sys.stdout.write(f"{file.state}\t{one_line(file.source)}\n")
        state = f"{len(found.problems)} problems" if found.problems else "intact"
        sys.stdout.write(
            f"{state}: {found.documents} documents, {found.pages} pages, "
            f"{len(found.files)} files changed or gone\n"
        )
        if found.unfinished.pages:
            sys.stdout.write(f"{found.unfinished}; vdr index goes on behind them\n")
    if found.problems:
        raise typer.Exit(ExitCode.ERROR)
    if found.files:
        raise typer.Exit(ExitCode.PARTIAL)


def _verified(paths: list[Path]) -> Verification:
    from vdr_integrations.cli.options.indexes import opened_index
    from vdr_integrations.index import UnfinishedPages
    from vdr_integrations.index.verify import Verification, verify_index

    try:
        with opened_index(paths) as opened, verifying_progress() as on_document:
            found = verify_index(opened, on_document=on_document)
            on_document(found.documents, found.documents)
            return found
    except IndexFormatError as error:
        return Verification(0, 0, (str(error),), (), UnfinishedPages(0, 0))
