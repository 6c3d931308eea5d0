"""A dense index on disk: one vector for each page, searched exactly."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Self

import filelock
import numpy as np

from vdr_integrations.errors import IndexLockedError, InvalidVectorError, OptionError
from vdr_integrations.index.manifest import Manifest
from vdr_integrations.index.ranking import top_rows
from vdr_integrations.index.rows import DOCUMENT_COLUMNS, document_of, file_columns, hit_of
from vdr_integrations.index.snapshot import Snapshot, load_snapshot, stored_vectors
from vdr_integrations.index.storage import LOCK_NAME, create_database, damaged, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders import DenseEncoder
    from vdr_integrations.index.records import DocumentRecord, FileState, PageRecord
    from vdr_integrations.types import Hit

__all__ = ["DenseIndex"]

_NORM_TOLERANCE = 1e-3


class DenseIndex:
    """Pages, their vectors and where they came from, in a folder of its own.

    Searching is exact: one matrix product over all vectors, which stay in memory between
    searches. Documents are added and removed whole, each in one transaction: a killed writer
    leaves what was committed. Any number of processes may read while one writes; objects may be
    shared between threads.

    Attributes:
        path: The folder.
        manifest: The encoder's settings.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Use :meth:`create` or :meth:`open`."""
        self.path = path
        self.manifest = manifest
        self._lock = filelock.FileLock(path / LOCK_NAME, timeout=0)
        self._snapshot: Snapshot | None = None

    @classmethod
    def create(cls, path: str | Path, *, manifest: Manifest) -> Self:
        """Make an empty index.

        Args:
            path: A new or empty folder.
            manifest: The settings of the encoder, see :meth:`Manifest.of`.

        Raises:
            IndexFormatError: The folder holds other files.
            IndexStoreError: The folder holds an index already.
        """
        folder = Path(path)
        create_database(folder, settings=json.dumps(asdict(manifest), sort_keys=True))
        return cls.open(folder)

    @classmethod
    def open(cls, path: str | Path, *, encoder: DenseEncoder | None = None) -> Self:
        """Open an index.

        Args:
            path: The folder.
            encoder: Refuse the index unless this encoder made it.

        Raises:
            IndexNotFoundError: There is no index in the folder.
            IndexFormatError: Not an index, damaged, or of a newer format.
            IndexMismatchError: Made by another encoder, or with other settings.
        """
        folder = Path(path)
        with transaction(folder) as connection:
            row = connection.execute("SELECT settings FROM manifest").fetchone()
        try:
            manifest = Manifest(**json.loads(row[0]))
        except (TypeError, ValueError) as error:
            raise damaged(folder, "unreadable manifest") from error
        if encoder is not None:
            manifest.check(encoder, index_path=folder)
        return cls(folder, manifest)

    @contextmanager
    def writing(self) -> Generator[None]:
        """Keep other writers out, over several calls; each write does so by itself too.

        Raises:
            IndexLockedError: Another process is writing to the index.
        """
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            raise IndexLockedError(
                f"another process is writing to index {self.path}; "
                f"wait for it to end, then try again."
            ) from error
        try:
            yield
        finally:
            self._lock.release()

    def documents(self) -> list[DocumentRecord]:
        """All documents, by source."""
        with transaction(self.path) as connection:
            rows = connection.execute(f"SELECT {DOCUMENT_COLUMNS} FROM documents ORDER BY source")  # noqa: S608  # a constant
            return [document_of(row) for row in rows]

    def document(self, source: str) -> DocumentRecord | None:
        """The document called ``source``, or None."""
        with transaction(self.path) as connection:
            row = connection.execute(
                f"SELECT {DOCUMENT_COLUMNS} FROM documents WHERE source = ?",  # noqa: S608  # a constant
                (source,),
            ).fetchone()
        return None if row is None else document_of(row)

    def count_pages(self) -> int:
        """Pages that can be found."""
        with transaction(self.path) as connection:
            return connection.execute("SELECT count(*) FROM pages").fetchone()[0]

    def vectors_of(self, source: str) -> tuple[list[int], NDArray[np.float32]]:
        """Page numbers of a document, and its vectors as they are stored, a row a page.

        Raises:
            OptionError: There is no such document.
            IndexFormatError: They are not what was written.
        """
        with transaction(self.path) as connection:
            return stored_vectors(
                connection, source, folder=self.path, dimension=self.manifest.dimension
            )

    def add_document(
        self,
        document: DocumentRecord,
        pages: Sequence[PageRecord],
        vectors: NDArray[np.float32],
    ) -> None:
        """Add a document, in place of the one with the same source if there is one.

        Args:
            document: What is kept of it.
            pages: At least one, in ascending order of page number.
            vectors: float32 (pages, dimension), L2-normalised, in the order of ``pages``.

        Raises:
            OptionError: No pages, pages out of order, or vectors of another shape or dtype.
            InvalidVectorError: A vector with NaN or infinity, or not of length 1.
            IndexLockedError: Another process is writing to the index.
        """
        self._check_pages(document, pages)
        self._check_vectors(document, pages, vectors)
        blob = vectors.astype("<f4").tobytes()
        with self.writing(), transaction(self.path, write=True) as connection:
            connection.execute("DELETE FROM documents WHERE source = ?", (document.source,))
            added = connection.execute(
                f"INSERT INTO documents ({DOCUMENT_COLUMNS}, vectors_sha256, vectors) "  # noqa: S608  # a constant
                f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    document.source,
                    *file_columns(document.file),
                    document.total_pages,
                    json.dumps([asdict(page) for page in document.skipped]),
                    hashlib.sha256(blob).digest(),
                    blob,
                ),
            ).lastrowid
            connection.executemany(
                "INSERT INTO pages (document_id, page_number, page_label, page_ref, text) "
                "VALUES (?, ?, ?, ?, ?)",
                [
                    (added, page.page_number, page.page_label, page.page_ref, page.text)
                    for page in pages
                ],
            )

    def update_file_state(self, source: str, file: FileState) -> None:
        """Note that a document's file was looked at and still has the same content.

        Raises:
            IndexLockedError: Another process is writing to the index.
        """
        with self.writing(), transaction(self.path, write=True) as connection:
            connection.execute(
                "UPDATE documents SET sha256 = ?, size_bytes = ?, modified_ns = ?, checked_ns = ? "
                "WHERE source = ?",
                (*file_columns(file), source),
            )

    def remove_document(self, source: str) -> bool:
        """Remove a document with all its pages; False if there was none.

        Raises:
            IndexLockedError: Another process is writing to the index.
        """
        with self.writing(), transaction(self.path, write=True) as connection:
            cursor = connection.execute("DELETE FROM documents WHERE source = ?", (source,))
            return cursor.rowcount > 0

    def search(self, query: NDArray[np.float32], *, k: int = 5) -> list[Hit]:
        """The pages nearest to a query, best first.

        Equal scores are in the order of source and page number, so that a search gives the same
        answer every time.

        Args:
            query: float32 (dimension,), from the encoder that made the index.
            k: At most this many hits; at least 1.

        Raises:
            OptionError: ``k`` below 1, or a query of another shape.
            InvalidVectorError: A query with NaN or infinity, or of length zero.
            IndexFormatError: The index is damaged.
        """
        if k < 1:
            raise OptionError(f"k is the number of hits and at least 1, found {k}.")
        unit = self._unit_query(query)
        with transaction(self.path) as connection:
            snapshot = self._current(connection)
            ranked = top_rows(snapshot.vectors, unit, k=k)
            return [hit_of(connection, snapshot, row, score) for row, score in ranked]

    def _current(self, connection: sqlite3.Connection) -> Snapshot:
        snapshot = self._snapshot
        generation: int = connection.execute("SELECT generation FROM manifest").fetchone()[0]
        if snapshot is None or snapshot.generation != generation:
            snapshot = load_snapshot(
                connection,
                folder=self.path,
                dimension=self.manifest.dimension,
                generation=generation,
            )
            self._snapshot = snapshot
        return snapshot

    def _unit_query(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        if query.shape != (self.manifest.dimension,):
            raise OptionError(
                f"index {self.path} takes one query vector of shape "
                f"({self.manifest.dimension},), found {query.shape}."
            )
        norm = float(np.linalg.norm(query.astype(np.float64)))
        if not np.isfinite(norm) or norm == 0:
            raise InvalidVectorError(
                f"the query vector's length is {norm}; it must be finite and positive."
            )
        return (query / norm).astype(np.float32)

    @staticmethod
    def _check_pages(document: DocumentRecord, pages: Sequence[PageRecord]) -> None:
        numbers = [page.page_number for page in pages]
        if not numbers or numbers != sorted(set(numbers)) or numbers[0] < 1:
            raise OptionError(
                f"{document.source}: a document needs at least one page, and pages in ascending "
                f"order of page number from 1, found {len(numbers)} pages."
            )

    def _check_vectors(
        self,
        document: DocumentRecord,
        pages: Sequence[PageRecord],
        vectors: NDArray[np.float32],
    ) -> None:
        expected = (len(pages), self.manifest.dimension)
        if vectors.shape != expected or vectors.dtype != np.float32:
            raise OptionError(
                f"{document.source}: the index takes float32 vectors of shape {expected}, "
                f"found {vectors.dtype} {vectors.shape}."
            )
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        wrong = np.flatnonzero(~(np.abs(lengths - 1.0) <= _NORM_TOLERANCE))
        if wrong.size:
            row = int(wrong[0])
            raise InvalidVectorError(
                f"{document.source} page {pages[row].page_number}: the vector's length is "
                f"{lengths[row]:g}; the index takes vectors of length 1."
            )
