"""``vdr rm``: remove documents from an index."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from vdr_integrations.cli.options.common_options import (  # noqa: TC001  # typer reads them
    DebugOption,
    IndexesOption,
    JsonOption,
    WaitOption,
)
from vdr_integrations.cli.terminal.clean_text import one_line
from vdr_integrations.cli.terminal.exits import ExitCode, reported, say_error
from vdr_integrations.cli.terminal.json_output import say_json
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.index.page_index import PageIndex

__all__ = ["rm_command"]


def rm_command(
    patterns: Annotated[
        list[str],
        typer.Argument(
            metavar="PATTERN...", help="Paths of documents or folders, file names, or globs."
        ),
    ],
    *,
    index: IndexesOption,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Remove documents from an index, and pages kept of unfinished ones; their files stay.

    Exit codes: 0 done, 1 error, nothing matched or refused, 2 wrong usage, 3 some patterns matched
    nothing.
    """
    with reported(debug=debug):
        from vdr_integrations.cli.options.document_names import matching
        from vdr_integrations.cli.options.indexes import opened_index

        with opened_index(index, wait_s=wait) as opened, opened.writing():
            documents = {one.source: one for one in opened.documents(skip_altered=True)}
            unfinished = opened.unfinished.sources()
            names = list(dict.fromkeys([*documents, *opened.altered_documents(), *unfinished]))
            matches = {pattern: matching(pattern, names) for pattern in patterns}
            unmatched = [pattern for pattern, found in matches.items() if not found]
            going = list(dict.fromkeys(one for found in matches.values() for one in found))
            for pattern in unmatched:
                say_error(f"{pattern}: the index has no such document.")
            if going and not yes:
                _ask(going)
            _remove(opened, going)
        if as_json:
            say_json({"removed": going, "unmatched": unmatched})
        elif going:
            pages = sum(documents[one].total_pages for one in going if one in documents)
            for source in going:
                sys.stdout.write(f"removed\t{one_line(source)}\n")
            sys.stdout.write(f"{len(going)} documents removed ({pages} pages)\n")
    if unmatched:
        raise typer.Exit(ExitCode.PARTIAL if going else ExitCode.ERROR)


def _ask(going: Sequence[str]) -> None:
    """Ask the user whether to remove the documents.

    Raises:
        OptionError: stdin is not a terminal.
        Exit: The user said no.
    """
    for source in going:
        sys.stderr.write(f"{one_line(source)}\n")
    if not sys.stdin.isatty():
        raise OptionError(
            f"{len(going)} documents would be removed, and stdin is not a terminal to ask for "
            f"confirmation; add --yes to remove them."
        )
    if not typer.confirm(f"Remove these {len(going)} documents from the index?", err=True):
        sys.stderr.write("Nothing was removed.\n")
        raise typer.Exit(ExitCode.ERROR)


def _remove(index: PageIndex, going: Sequence[str]) -> None:
    for source in going:
        index.remove_document(source)
    if going and not index.altered_documents():
        index.optimize()
