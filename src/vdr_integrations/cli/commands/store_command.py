"""``vdr store``: what the page store holds, and the removal of pages that nothing needs."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  # typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from vdr_integrations.cli.options.common_options import DebugOption, JsonOption  # noqa: TC001  # typer reads them
from vdr_integrations.cli.terminal.exits import ExitCode, reported
from vdr_integrations.cli.terminal.fact_lines import bytes_in_words, say_facts
from vdr_integrations.cli.terminal.json_output import say_json
from vdr_integrations.defaults import DEFAULT_KEEP_HOURS
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from vdr_integrations.retrieval import RemovedPages, UnneededPages

__all__ = ["store_app"]

store_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)

_STDIN = "-"

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="PLACE",
        help="Page store: a folder, or a URL such as s3://bucket/pages. (default: VDR_PAGE_STORE, "
        "or in the user's data folder)",
    ),
]


@store_app.callback()
def store_command(
    context: typer.Context,
    *,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what the page store holds; vdr store prune removes pages that nothing needs.

    Files that are not finished are being written, or were left by a killed process; the next write
    or prune removes these after an hour.
    """
    if context.invoked_subcommand is not None:
        if store is not None or as_json:
            raise typer.BadParameter("give options after prune: vdr store prune --store PLACE.")
        return
    with reported(debug=debug):
        from vdr_integrations.pages import PageStore

        shown = PageStore(store)
        found = shown.contents()
        if as_json:
            say_json(
                {
                    "page_store": shown.location,
                    "pages": found.pages,
                    "bytes": found.size_bytes,
                    "unfinished": found.unfinished,
                    "unfinished_bytes": found.unfinished_bytes,
                }
            )
            return
        say_facts(
            {
                "page_store": shown.location,
                "pages": found.pages,
                "bytes": bytes_in_words(found.size_bytes),
                "unfinished": f"{found.unfinished:,} ({bytes_in_words(found.unfinished_bytes)})",
            }
        )


@store_app.command("prune")
def prune_command(
    *,
    index: Annotated[
        list[str] | None,
        typer.Option(
            "--index",
            metavar="PLACE",
            help="Index whose pages are needed: a folder, or http://host:6333/collection. Give all "
            "of them, each with --index; VDR_INDEX is not read.",
        ),
    ] = None,
    refs: Annotated[
        list[Path] | None,
        typer.Option(
            "--refs",
            metavar="FILE",
            help="File with references (vdr-page:...) that are needed, one per line; '-' for "
            "stdin. It may be given several times.",
        ),
    ] = None,
    keep_hours: Annotated[
        float,
        typer.Option(min=0, help="Keep the pages that were stored in the last so many hours."),
    ] = DEFAULT_KEEP_HOURS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Remove the pages that no given index and no given reference needs, and old unfinished files.

    Give every index, and the references of all documents that are in other stores. If one of them
    cannot be read, nothing is removed.

    Exit codes: 0 done, 1 error or refused, 2 wrong usage.
    """
    with reported(debug=debug):
        from vdr_integrations.pages import PageStore
        from vdr_integrations.retrieval import unneeded_pages

        if not index and not refs:
            raise OptionError(
                "without an index and a list of references, all pages would be removed; give each "
                "index with --index, and each list of references with --refs."
            )
        found = unneeded_pages(
            PageStore(store),
            indexes=index or [],
            refs=[line for file in refs or [] for line in _lines(file)],
            keep_hours=keep_hours,
        )
        if not (dry_run or yes) and found.refs:
            _ask(found)
        removed = None if dry_run else found.remove()
        if as_json:
            _show_as_json(found, removed)
        else:
            _show(found, removed)


def _lines(file: Path) -> list[str]:
    """The lines that are not blank.

    Raises:
        OptionError: The file cannot be read, or is not UTF-8 text.
    """
    try:
        text = sys.stdin.read() if str(file) == _STDIN else file.read_text(encoding="utf-8-sig")
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise OptionError(f"--refs {file} cannot be read: {why}.") from error
    except UnicodeDecodeError:
        raise OptionError(
            f"--refs {file} is not UTF-8 text; write one reference per line."
        ) from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _ask(found: UnneededPages) -> None:
    """Ask the user whether to remove the pages.

    Raises:
        OptionError: stdin is not a terminal.
        Exit: The user said no.
    """
    what = f"{len(found.refs):,} pages ({bytes_in_words(found.size_bytes)})"
    if not sys.stdin.isatty():
        raise OptionError(
            f"{what} would be removed, and stdin is not a terminal to ask for confirmation; add "
            f"--yes to remove them, or --dry-run."
        )
    if not typer.confirm(f"Remove {what} from {found.store.location}?", err=True):
        sys.stderr.write("Nothing was removed.\n")
        raise typer.Exit(ExitCode.ERROR)


def _show(found: UnneededPages, removed: RemovedPages | None) -> None:
    if removed is None:
        size = bytes_in_words(found.size_bytes)
        sys.stdout.write(f"{len(found.refs):,} pages would be removed ({size})")
    else:
        size = bytes_in_words(removed.size_bytes)
        sys.stdout.write(f"{removed.pages:,} pages removed ({size})")
        if removed.unfinished:
            left = bytes_in_words(removed.unfinished_bytes)
            sys.stdout.write(f", {removed.unfinished:,} unfinished files removed ({left})")
    sys.stdout.write(f"; {found.needed:,} needed, {found.young:,} new\n")


def _show_as_json(found: UnneededPages, removed: RemovedPages | None) -> None:
    shown: dict[str, object] = {
        "page_store": found.store.location,
        "unneeded": len(found.refs),
        "unneeded_bytes": found.size_bytes,
        "needed": found.needed,
        "new": found.young,
    }
    if removed is not None:
        shown |= {
            "removed": removed.pages,
            "removed_bytes": removed.size_bytes,
            "unfinished_removed": removed.unfinished,
            "unfinished_removed_bytes": removed.unfinished_bytes,
        }
    say_json(shown)
