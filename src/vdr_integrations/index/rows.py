"""Between rows of the database and records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vdr_integrations.index.records import DocumentRecord, FileState, SkippedPage
from vdr_integrations.types import Hit

if TYPE_CHECKING:
    import sqlite3

    from vdr_integrations.index.snapshot import Snapshot

__all__ = ["DOCUMENT_COLUMNS", "document_of", "file_columns", "hit_of"]

DOCUMENT_COLUMNS = "source, sha256, size_bytes, modified_ns, checked_ns, total_pages, skipped"


def file_columns(file: FileState) -> tuple[str, int, int, int]:
    """The values of the file columns, in the order of ``DOCUMENT_COLUMNS``."""
    return (file.sha256, file.size_bytes, file.modified_ns, file.checked_ns)


def document_of(row: tuple[str, str, int, int, int, int, str]) -> DocumentRecord:
    """The record of a row of ``DOCUMENT_COLUMNS``."""
    source, sha256, size_bytes, modified_ns, checked_ns, total_pages, skipped = row
    return DocumentRecord(
        source=source,
        file=FileState(
            sha256=sha256,
            size_bytes=size_bytes,
            modified_ns=modified_ns,
            checked_ns=checked_ns,
        ),
        total_pages=total_pages,
        skipped=tuple(SkippedPage(**page) for page in json.loads(skipped)),
    )


def hit_of(connection: sqlite3.Connection, snapshot: Snapshot, row: int, score: float) -> Hit:
    """The hit that a row of the snapshot is, with what the database knows of the page."""
    page_number = int(snapshot.page_numbers[row])
    source, total_pages, page_label, page_ref, text = connection.execute(
        "SELECT source, total_pages, page_label, page_ref, text FROM pages "
        "JOIN documents ON documents.id = document_id WHERE document_id = ? AND page_number = ?",
        (int(snapshot.document_ids[row]), page_number),
    ).fetchone()
    return Hit(
        source=source,
        page_number=page_number,
        score=score,
        page_label=page_label,
        total_pages=total_pages,
        page_ref=page_ref,
        text=text,
    )
