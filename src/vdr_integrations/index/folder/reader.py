"""Reads documents and pages of a folder. It writes nothing."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vdr_integrations.errors import IndexFormatError
from vdr_integrations.index.folder.database import reading
from vdr_integrations.index.folder.dense_scores import stored_dense
from vdr_integrations.index.folder.field_table import FieldTable, in_range
from vdr_integrations.index.folder.manifest_row import ManifestRow, refuse_other_settings
from vdr_integrations.index.folder.page_scores import stored_tokens
from vdr_integrations.index.folder.page_words import read_words, unsound_words
from vdr_integrations.index.folder.records_json import (
    document_of,
    metadata_of,
    page_of,
    text_of,
)
from vdr_integrations.index.folder.snapshot import load_snapshot
from vdr_integrations.index.folder.troubles import altered, damaged
from vdr_integrations.index.folder.vector_places import (
    content_digest,
    id_key,
    ref_key,
)
from vdr_integrations.index.page_filter import filterable
from vdr_integrations.index.question_bank import QuestionBank
from vdr_integrations.index.scoring.words import count_words
from vdr_integrations.index.search_steps import ChangedMeanwhileError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from numpy.typing import NDArray

    from vdr_integrations.index.folder.manifest_row import Layout
    from vdr_integrations.index.folder.snapshot import KnownDocument, Snapshot
    from vdr_integrations.index.index_settings import Settings
    from vdr_integrations.index.page_filter import Condition, Where
    from vdr_integrations.index.records import DocumentRecord
    from vdr_integrations.index.scoring.words import WordCounts
    from vdr_integrations.index.stored_page import StoredPage

    _Pick: TypeAlias = Callable[[Snapshot], list[int]]

__all__ = ["FolderReader", "namer", "of_ids"]

T = TypeVar("T")

_FREE_TRIES = 2
_ROWS_AT_ONCE = 500


class FolderReader:
    """Reads one index. Safe to call from any thread; every call sees one committed state.

    Attributes:
        folder: The folder of the index.
        settings: Settings of the index.
    """

    def __init__(self, folder: Path) -> None:
        """Read the committed state.

        Raises:
            IndexNotFoundError: There is no index in the folder.
            IndexFormatError: Not an index, a damaged index, or one of another format.
            IndexStoreError: The file system refuses.
        """
        self.folder = folder
        self._snapshot = load_snapshot(folder)
        self.settings: Settings = self._snapshot.manifest.settings
        self._fields: tuple[Snapshot, FieldTable] | None = None
        self._held = threading.local()

    def snapshot(self) -> Snapshot:
        """The state that is committed now.

        Raises:
            IndexMismatchError: The index was deleted and made again with other settings.
            IndexStoreError: See :class:`FolderReader`.
        """
        found = load_snapshot(self.folder, self._snapshot, begin=self._reading)
        refuse_other_settings(self.folder, found.manifest, self.settings)
        self._snapshot = found
        return found

    def index_id(self) -> str:
        """Id of the index as it is now."""
        with reading(self.folder) as connection:
            return ManifestRow.read(connection, self.folder).index_id

    def layout(self) -> Layout:
        """The files as they are committed now."""
        with reading(self.folder) as connection:
            return ManifestRow.read(connection, self.folder).layout

    def question_bank(self) -> QuestionBank | None:
        """The question bank that scores are corrected by; None if there is none."""
        correction, tokens = self.settings.correction, self.settings.tokens
        if correction is None or tokens is None:
            return None
        with self._reading() as connection:
            found = connection.execute("SELECT vectors FROM question_bank").fetchall()
        data = found[0][0] if len(found) == 1 else None
        bank = None
        if isinstance(data, bytes):
            bank = QuestionBank.of_bytes(data, correction, dimension=tokens.dimension)
        if bank is None:
            raise damaged(self.folder, "its question bank was altered")
        return bank

    def documents(self, *, skip_altered: bool = False) -> list[DocumentRecord]:
        """All documents, sorted by source."""
        snapshot = self.snapshot()
        if not skip_altered:
            snapshot.refuse_altered(None)
        found = [
            _record(document) for document in snapshot.documents.values() if not document.is_altered
        ]
        return sorted(found, key=lambda record: record.source)

    def altered_documents(self) -> list[str]:
        """Names of documents whose record was altered."""
        return sorted(document.source for document in self.snapshot().altered)

    def document(self, source: str) -> DocumentRecord | None:
        """The document with this name, or None."""
        snapshot = self.snapshot()
        snapshot.refuse_altered({source})
        number = snapshot.sources.get(source)
        return None if number is None else _record(snapshot.documents[number])

    def count_pages(self, where: Where) -> int:
        """Number of pages that match."""
        return self._of_one_state(lambda snapshot: len(self.fitting(snapshot, where)))

    def pages_where(self, where: Where) -> list[StoredPage]:
        """Pages that match, sorted by source and page number, without vectors."""

        def choose(snapshot: Snapshot) -> list[int]:
            return _named(snapshot, self.fitting(snapshot, where).tolist())

        return self._read(choose, vectors=False)

    def pages(self, page_ids: Sequence[str], *, vectors: bool) -> list[StoredPage]:
        """Pages with these ids, in this order; unknown ids are left out."""
        return self._read(lambda snapshot: of_ids(snapshot, page_ids), vectors=vectors)

    def pages_of_ref(self, page_ref: str) -> list[StoredPage]:
        """Pages with this image, sorted by source and page number."""

        def choose(snapshot: Snapshot) -> list[int]:
            snapshot.refuse_altered(None)
            found = np.flatnonzero(snapshot.places["ref_key"] == ref_key(page_ref))
            return _named(snapshot, found.tolist())

        return [page for page in self._read(choose, vectors=False) if page.page_ref == page_ref]

    def fitting(self, snapshot: Snapshot, where: Where) -> NDArray[np.intp]:
        """Pages that match, as indices of the snapshot."""
        fits = np.ones(len(snapshot), np.bool_)
        for group in where.groups:
            of_group = np.zeros(len(snapshot), np.bool_)
            for condition in group:
                self._mark(snapshot, condition, of_group)
            fits &= of_group
        if snapshot.altered:
            snapshot.refuse_altered(_asked_sources(where))
        return np.flatnonzero(fits)

    def _mark(self, snapshot: Snapshot, condition: Condition, fits: NDArray[np.bool_]) -> None:
        if condition.key == "source":
            numbers = [
                snapshot.sources[text] for text in condition.texts if text in snapshot.sources
            ]
            fits |= np.isin(snapshot.document_ids, numbers)
        elif condition.key == "page_number":
            for bounds in condition.ranges:
                fits |= in_range(snapshot.places["page_number"], bounds)
        else:
            for found in self._field_table(snapshot).fitting(condition):
                fits[found] = True

    def _field_table(self, snapshot: Snapshot) -> FieldTable:
        kept = self._fields
        if kept is not None and kept[0] is snapshot:
            return kept[1]
        contents = self._contents(snapshot, range(len(snapshot)))
        table = FieldTable(
            (index, filterable(metadata_of(content), source=snapshot.source_of(index)))
            for index, content in contents.items()
        )
        self._fields = (snapshot, table)
        return table

    def _read(self, choose: _Pick, *, vectors: bool) -> list[StoredPage]:
        return self._of_one_state(
            lambda snapshot: self.stored(snapshot, choose(snapshot), vectors=vectors)
        )

    def _of_one_state(self, work: Callable[[Snapshot], T]) -> T:
        """The result of ``work`` on one committed state."""
        for _ in range(_FREE_TRIES):
            with suppress(ChangedMeanwhileError):
                return work(self.snapshot())
        with self.holding():
            return work(self.snapshot())

    @contextmanager
    def holding(self) -> Generator[None]:
        """Writers wait meanwhile: what this thread reads stays what it is."""
        with reading(self.folder) as connection:
            self._held.connection = connection
            try:
                yield
            finally:
                self._held.connection = None

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        """A transaction that reads: the one in which this thread makes writers wait, if any."""
        held: sqlite3.Connection | None = getattr(self._held, "connection", None)
        if held is not None:
            yield held
            return
        with reading(self.folder) as connection:
            yield connection

    def stored(
        self, snapshot: Snapshot, indices: Sequence[int], *, vectors: bool
    ) -> list[StoredPage]:
        """Read pages of a state."""
        contents = self._contents(snapshot, indices)
        documents = {
            number: _record(snapshot.documents[number])
            for number in {int(snapshot.document_ids[one]) for one in indices}
        }
        pages: list[StoredPage] = []
        for index in indices:
            place = snapshot.places[index]
            document = documents[int(snapshot.document_ids[index])]
            page = page_of(
                contents[index],
                source=document.source,
                page_number=int(place["page_number"]),
                total_pages=document.total_pages,
                bias=float(place["bias"]),
            )
            pages.append(self._with_vectors(snapshot, index, page) if vectors else page)
        return pages

    def words(self, snapshot: Snapshot, indices: NDArray[np.intp]) -> Iterator[WordCounts]:
        """The words of pages of a state, given as ascending indices; each is held once.

        Raises:
            IndexFormatError: Words and text of a page are not what was written.
            ChangedMeanwhileError: Some pages were removed since.
        """
        with self._reading() as connection:
            found = dict(read_words(connection, snapshot, indices))
        listed = indices.tolist()
        contents = self._contents(snapshot, [index for index in listed if index not in found])
        found.update((index, count_words(text_of(one))) for index, one in contents.items())
        return map(found.pop, listed)

    def recounted_words(self, snapshot: Snapshot) -> dict[int, WordCounts]:
        """The words of pages whose stored words are not what a writer of today writes, by index.

        Pages whose text was altered too are left out.
        """
        counted: dict[int, WordCounts] = {}
        for index in unsound_words(snapshot, self._reading):
            with suppress(IndexFormatError):
                content = self._contents(snapshot, [index])[index]
                counted[index] = count_words(text_of(content))
        return counted

    def _with_vectors(self, snapshot: Snapshot, index: int, page: StoredPage) -> StoredPage:
        dense, settings = None, self.settings
        if settings.dense is not None:
            dense = stored_dense(snapshot, index, dimension=settings.dense.dimension)
        tokens = None
        if settings.tokens is not None:
            tokens = stored_tokens(snapshot, index, vectors=settings.compression.vectors)
        return replace(page, vectors=tokens, dense=dense)

    def _contents(self, snapshot: Snapshot, indices: Iterable[int]) -> dict[int, str]:
        """Stored JSON of pages of a state, by index.

        Raises:
            ChangedMeanwhileError: Some pages were removed since.
        """
        listed = list(indices)
        rows = snapshot.rows
        found: dict[int, str] = {}
        with self._reading() as connection:
            for start in range(0, len(listed), _ROWS_AT_ONCE):
                asked = [int(rows[index]) for index in listed[start : start + _ROWS_AT_ONCE]]
                marks = ",".join("?" * len(asked))
                found.update(
                    connection.execute(
                        f"SELECT row, content FROM pages WHERE row IN ({marks})",  # noqa: S608  # marks
                        asked,
                    )
                )
        contents: dict[int, str] = {}
        for index in listed:
            row = int(rows[index])
            content = found.get(row)
            if (
                not isinstance(content, str)
                or content_digest(row, content) != snapshot.places["content"][index].tobytes()
            ):
                if self.snapshot() is not snapshot:
                    # The page was removed meanwhile, or the index was made again.
                    raise ChangedMeanwhileError
                finding = "its record is gone" if content is None else "its record was altered"
                raise altered(self.folder, snapshot.where(index), finding)
            contents[index] = content
        return contents


def _record(document: KnownDocument) -> DocumentRecord:
    return document_of(document.source, document.record)


def of_ids(snapshot: Snapshot, page_ids: Sequence[str]) -> list[int]:
    """Indices of the pages with these ids, in this order."""
    keys = [key for key in map(id_key, page_ids) if key is not None]
    found = snapshot.by_id
    if snapshot.altered and any(key not in found for key in keys):
        snapshot.refuse_altered(None)
    return [found[key] for key in keys if key in found]


def _named(snapshot: Snapshot, indices: list[int]) -> list[int]:
    """The same pages, sorted by source and page number."""
    return sorted(indices, key=namer(snapshot))


def namer(snapshot: Snapshot) -> Callable[[int], tuple[str, int]]:
    """Returns source and page number of a page."""
    numbers = snapshot.places["page_number"]
    return lambda index: (snapshot.source_of(index), int(numbers[index]))


def _asked_sources(where: Where) -> set[str] | None:
    """The sources that a filter allows; None if it allows any."""
    for group in where.groups:
        if all(condition.key == "source" for condition in group):
            return {text for condition in group for text in condition.texts}
    return None
