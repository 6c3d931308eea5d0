"""``vdr info``: how an index was made and what it holds."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vdr_integrations.cli.options.common_options import DebugOption, IndexesOption, JsonOption  # noqa: TC001  # typer reads them
from vdr_integrations.cli.terminal.clean_text import one_line
from vdr_integrations.cli.terminal.exits import reported
from vdr_integrations.cli.terminal.fact_lines import bytes_in_words, say_facts
from vdr_integrations.cli.terminal.json_output import say_json

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.index import LateInteractionIndex
    from vdr_integrations.index.page_index import PageIndex

__all__ = ["info_command"]


def info_command(
    *,
    index: IndexesOption,
    documents: Annotated[
        bool, typer.Option("--documents", help="Also list the documents and their page counts.")
    ] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show how an index was made and what it holds. The model is not loaded."""
    with reported(debug=debug):
        from vdr_integrations.cli.options.indexes import opened_index, shown_places
        from vdr_integrations.index import UnfinishedPages

        with opened_index(index) as opened:
            found = _facts(opened, index)
        listed = found.pop("documents")
        found["documents"] = listed if documents else len(listed)
        if as_json:
            say_json(found)
            return
        found["index"] = shown_places(index)
        found["documents"] = len(listed)
        found["bytes"] = bytes_in_words(found["bytes"])
        kept = UnfinishedPages(**found["unfinished"])
        found["unfinished"] = str(kept) if kept.pages else None
        say_facts(found)
        for one in listed if documents else ():
            skipped = f", {one['skipped']} not indexed" if one["skipped"] else ""
            sys.stdout.write(f"{one_line(one['source'])}\t{one['total_pages']} pages{skipped}\n")


def _facts(index: PageIndex, folders: list[Path]) -> dict[str, Any]:
    from vdr_integrations.cli.options.compression_option import compression_words

    manifest = index.manifest
    dense = index.late is None
    documents = index.documents()
    return {
        "index": str(folders[0]) if len(folders) == 1 else [str(folder) for folder in folders],
        "kind": "dense" if dense else "late-interaction",
        "model": manifest.model,
        "revision": manifest.revision,
        "fingerprint": manifest.fingerprint,
        "dimension": manifest.dimension,
        "max_visual_tokens": manifest.max_visual_tokens,
        "compression": None if dense else compression_words(index.compression),
        "correction": None if index.late is None else _correction(index.late),
        "recall": None if dense or not index.dense_manifest else index.dense_manifest.model,
        "pages": index.count_pages(),
        "skipped_pages": sum(len(one.skipped) for one in documents),
        "unfinished": asdict(index.unfinished.kept()),
        "bytes": sum(
            _disk_bytes(file) for folder in folders for file in folder.rglob("*") if file.is_file()
        ),
        "documents": [
            {"source": one.source, "total_pages": one.total_pages, "skipped": len(one.skipped)}
            for one in documents
        ],
    }


def _correction(index: LateInteractionIndex) -> str | None:
    found = index.correction
    return None if found is None else f"{found.strength:g}, by {found.tokens} tokens of questions"


def _disk_bytes(file: Path) -> int:
    """Bytes that a file takes on disk; stores reserve space that they have not filled yet."""
    status = file.stat()
    blocks: int | None = getattr(status, "st_blocks", None)  # of 512 bytes; None on Windows
    return status.st_size if blocks is None else min(status.st_size, 512 * blocks)
