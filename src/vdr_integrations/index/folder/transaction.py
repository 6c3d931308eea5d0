"""Commits: how the database of a folder changes."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.folder.database import writing
from vdr_integrations.index.folder.file_format import PAGE_TABLES
from vdr_integrations.index.folder.manifest_row import ManifestRow, refuse_other_settings
from vdr_integrations.index.folder.troubles import damaged
from vdr_integrations.index.folder.vector_places import (
    PLACE,
    STATE_BYTES,
    document_digest,
    document_name,
    state_sum,
)
from vdr_integrations.index.folder.writer_lock import WriterLock

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from vdr_integrations.index.folder.manifest_row import Layout
    from vdr_integrations.index.folder.vector_places import Places
    from vdr_integrations.index.index_settings import Settings

__all__ = ["Transaction", "Transactions"]

_REMOVALS_KEPT = 10_000


class Transaction:
    """One commit: the changes of documents, pages and files in the database.

    Attributes:
        connection: A connection inside a writing transaction.
        manifest: The manifest row before the commit.
        layout: The files after the commit.
        is_changed: Whether anything changes.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        manifest: ManifestRow,
        folder: Path,
        numbers: dict[str, int],
    ) -> None:
        """Begin.

        Args:
            connection: A connection inside a writing transaction.
            manifest: The manifest row before the commit.
            folder: The folder of the index.
            numbers: Ids of documents by source; updated when documents are added or removed.
        """
        self.connection = connection
        self.manifest = manifest
        self._numbers = numbers
        self.layout: Layout = manifest.layout
        self._folder = folder
        self._added: list[bytes] = []
        self._gone: list[bytes] = []
        self._is_sum_unknown = False
        self.is_changed = False

    def set_layout(self, layout: Layout) -> None:
        """Replace the files of the index."""
        self.layout = layout
        self.is_changed = True

    def add(self, source: str, record: str, places: Places) -> None:
        """Add a document."""
        kept = places.tobytes()
        number = self.connection.execute(
            "INSERT INTO documents (source, record, places, digest) VALUES (?, ?, ?, ?)",
            (source, record, kept, b""),
        ).lastrowid
        assert number is not None  # noqa: S101  # it was inserted
        digest = document_digest(number, source, record, kept)
        self.connection.execute("UPDATE documents SET digest = ? WHERE id = ?", (digest, number))
        self._numbers[source] = number
        self._added.append(digest)
        self.is_changed = True

    def take(self, source: str) -> tuple[str, Places] | None:
        """Remove a document; returns its record and places, or None if it does not exist.

        An altered document is removed too. Its places are not known, so none are returned.
        """
        number = self._numbers.pop(source, None)
        if number is None:
            return None
        found = self.connection.execute(
            "SELECT source, record, places, digest FROM documents WHERE id = ?", (number,)
        ).fetchone()
        if found is None:
            raise damaged(self._folder, f"{source} is gone from its list")
        kept, record, places, digest = found
        digest = digest if isinstance(digest, bytes) else b""
        self.connection.execute("DELETE FROM documents WHERE id = ?", (number,))
        self.connection.execute(
            "INSERT OR REPLACE INTO removed VALUES (?, ?)", (number, self.manifest.generation + 1)
        )
        self._gone.append(digest)
        self.is_changed = True
        if (
            not isinstance(kept, str)
            or not isinstance(record, str)
            or not isinstance(places, bytes)
            or document_digest(number, kept, record, places) != digest
        ):
            self._is_sum_unknown = True
            return "", np.empty(0, PLACE)
        return record, np.frombuffer(places, PLACE)

    def forget_rows(self, places: Places) -> None:
        """Delete the rows of these pages from all tables that have one for each page."""
        rows = [(row,) for row in places["row"].tolist()]
        for table in PAGE_TABLES:
            self.connection.executemany(f"DELETE FROM {table} WHERE row = ?", rows)  # noqa: S608  # a constant

    def finish(self) -> ManifestRow:
        """Write the manifest of the next generation."""
        generation = self.manifest.generation + 1
        oldest = generation - _REMOVALS_KEPT
        if oldest > self.layout.removed_from:
            self.connection.execute("DELETE FROM removed WHERE generation <= ?", (oldest,))
            self.layout = replace(self.layout, removed_from=oldest)
        row = self.manifest.after(layout=self.layout, added=self._added, gone=self._gone)
        if self._is_sum_unknown:  # the digest of an altered document may be wrong
            digests = self.connection.execute("SELECT digest FROM documents").fetchall()
            known = [digest for (digest,) in digests if isinstance(digest, bytes)]
            state = state_sum(bytes(STATE_BYTES), added=known)
            row = replace(row, state=state)
        row.write(self.connection)
        return row


class Transactions:
    """Commits to one index; the lock of the folder keeps other writers out."""

    def __init__(self, folder: Path, settings: Settings, *, wait_s: float) -> None:
        """Nothing is locked yet.

        Args:
            folder: The folder of the index.
            settings: Settings of the index; a commit to an index with others is refused.
            wait_s: How long to wait for another writer.
        """
        self._folder = folder
        self._settings = settings
        self._lock = WriterLock(folder)
        self._wait_s = wait_s
        self._numbers: tuple[str, int, dict[str, int]] = ("", -1, {})

    def locked(self) -> AbstractContextManager[None]:
        """Keep other writers out, over several commits.

        Raises:
            IndexLockedError: Another writer is at work.
            IndexNotFoundError: The folder is gone.
            IndexStoreError: The folder cannot be written.
        """
        return self._lock.held(wait_s=self._wait_s)

    @contextmanager
    def begin(self) -> Generator[Transaction]:
        """A commit, under the lock.

        Raises:
            IndexLockedError: Another writer is at work.
            IndexMismatchError: The index was made again with other settings.
            IndexStoreError: The file system refuses.
        """
        with self.locked(), writing(self._folder) as connection:
            manifest = ManifestRow.read(connection, self._folder)
            refuse_other_settings(self._folder, manifest, self._settings)
            index_id, generation, numbers = self._numbers
            if (index_id, generation) != (manifest.index_id, manifest.generation):
                numbers = _numbers_of_documents(connection)
            self._numbers = ("", -1, {})  # if the commit is undone, they are read again
            step = Transaction(connection, manifest, self._folder, numbers)
            yield step
            if step.is_changed:
                manifest = step.finish()
        self._numbers = (manifest.index_id, manifest.generation, numbers)


def _numbers_of_documents(connection: sqlite3.Connection) -> dict[str, int]:
    """Ids by source. SQLite has no index of sources, because no digest would protect it."""
    found = connection.execute("SELECT id, source, digest FROM documents ORDER BY id")
    return {document_name(*row)[0]: row[0] for row in found}
