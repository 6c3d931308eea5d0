"""Write documents to a collection and remove them, so that no document is ever half there.

First, the pages are written under a new version. Then the point of the document, which names
version and pages, is written: that is the commit. Then the pages of the previous version are
deleted.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.errors import (
    IndexFormatError,
    IndexMismatchError,
    IndexNotFoundError,
    IndexStoreError,
    VdrError,
)
from vdr_integrations.index.folder.vector_bytes import token_bytes, token_matrix
from vdr_integrations.index.page_filter import Where
from vdr_integrations.index.server.collection import BATCH_BYTES, DENSE, TOKENS, Point
from vdr_integrations.index.server.points import (
    CommittedDocument,
    document_id,
    document_point,
    page_point,
)
from vdr_integrations.index.server.reader import TRIES, too_fast
from vdr_integrations.index.server.server_filter import DOCUMENTS, PAGES, server_filter
from vdr_integrations.index.server.troubles import InDoubtError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.index.records import DocumentRecord, FileState
    from vdr_integrations.index.server.codebook_points import FirstStage
    from vdr_integrations.index.server.opened import OpenIndex
    from vdr_integrations.index.server.reader import ServerReader
    from vdr_integrations.index.staged_document import PreparedPage

__all__ = ["ServerSink", "ServerWriter"]


class ServerWriter:
    """Writes one index. Safe to call from any thread.

    A change that depends on stored data is written only if that data is still the same; the filter
    of the write checks that in the same step.
    """

    def __init__(self, index: OpenIndex, reader: ServerReader, first_stage: FirstStage) -> None:
        """Nothing is written yet."""
        self.index = index
        self.first_stage = first_stage
        self._reader = reader
        self._collection = index.collection

    def begin(self, source: str) -> ServerSink:
        """See ``Engine``."""
        return ServerSink(self, source)

    def update_file_state(self, source: str, file: FileState) -> None:
        """See ``Engine``."""
        with self.index.writing():
            for _ in range(TRIES):
                before = self.index.documents([source]).get(source)
                if before is None or before.record.file == file:
                    return
                self._exchange(before, replace(before, record=replace(before.record, file=file)))
            raise too_fast(self.index)

    def remove_document(self, source: str) -> bool:
        """See ``Engine``; for an altered document, all pages of this name are removed."""
        point_id = document_id(source)
        with self.index.writing():
            try:
                before = self.index.documents([source]).get(source)
            except IndexFormatError:
                self._collection.delete([point_id])
                self._collection.delete_where(server_filter(_pages_of(source)))
                return True
            if before is None:
                return self._remove_misnamed(source)
            self._collection.delete([point_id])
            self.delete_pages(before)
            return True

    def remove_pages(self, page_ids: Sequence[str]) -> int:
        """See ``Engine``."""
        with self.index.writing():
            by_source: dict[str, set[int]] = {}
            for page in self._reader.pages(page_ids, vectors=False):
                by_source.setdefault(page.source, set()).add(page.page_number)
            return sum(self._forget(source, numbers) for source, numbers in by_source.items())

    def clean_up(self) -> int:
        """See ``Engine``.

        Raises:
            IndexFormatError: A document was altered or has lost pages; then nothing is deleted.
        """
        with self.index.writing():
            left_over = self._collection.counts_by("version", server_filter(PAGES))
            owned: set[str] = set()
            for document in self.index.whole_documents():
                held = left_over.pop(document.version, 0)
                owned.update(document.point_ids().values())
                if held < len(document.pages):
                    self._refuse_lost(document.record.source)
                elif held > len(document.pages):
                    left_over[document.version] = held
            unowned: list[str] = []
            for version in left_over:
                where = PAGES & Where.equal(version=version)
                found = self._collection.scroll(server_filter(where), fields=["kind"])
                unowned += [point.id for point in found if point.id not in owned]
            self._collection.delete(unowned)
            self.first_stage.tidy()
            return len(unowned)

    def lost_pages(self, document: CommittedDocument) -> list[int]:
        """Numbers of the pages of a document whose points are missing."""
        ids = document.point_ids()
        there = {point.id for point in self._collection.retrieve(list(ids.values()))}
        return [number for number, point_id in ids.items() if point_id not in there]

    def delete_pages(self, document: CommittedDocument) -> None:
        """Delete the pages of a version that does not count any more, also altered ones."""
        self._collection.delete(list(document.point_ids().values()))
        where = _pages_of(document.record.source, document.version)
        self._collection.delete_where(server_filter(where))

    def _refuse_lost(self, source: str) -> None:
        # The document may have been replaced since its pages were counted.
        document = self.index.documents([source]).get(source)
        lost = [] if document is None else self.lost_pages(document)
        if document is not None and lost:
            raise IndexFormatError(
                f"index {self.index.location} is damaged: {source} has "
                f"{len(document.pages) - len(lost)} of {len(document.pages)} pages (page {lost[0]} "
                f"is gone). Other documents can be used: remove this one (vdr rm) and index it "
                f"again."
            )

    def _remove_misnamed(self, source: str) -> bool:
        """Remove documents that have this name but the id of another name."""
        where = DOCUMENTS & Where.equal(source=source)
        found = [point.id for point in self._collection.scroll(server_filter(where))]
        self._collection.delete(found)
        return bool(found)

    def _forget(self, source: str, numbers: set[int]) -> int:
        for _ in range(TRIES):
            before = self.index.documents([source]).get(source)
            gone = set() if before is None else before.pages & numbers
            if before is None or not gone:
                return 0
            left = before.pages - gone
            if not left:
                self.remove_document(source)
                return len(gone)
            record = before.record.with_pages(left)
            self._exchange(before, replace(before, record=record, pages=left))
            after = self.index.documents([source]).get(source)
            if after is not None and after.version == before.version and not after.pages & gone:
                ids = before.point_ids()
                self._collection.delete([ids[number] for number in gone])
                return len(gone)
        raise too_fast(self.index)

    def _exchange(self, before: CommittedDocument, after: CommittedDocument) -> None:
        """Write the changed document if its stored version is still the same."""
        found = server_filter(
            DOCUMENTS & Where.equal(owns=before.version), ids=[document_id(before.record.source)]
        )
        self._collection.set_payload(document_point(after).payload, found)


class _State(Enum):
    """How far the commit of a document is."""

    STAGED = auto()
    COMMITTING = auto()
    """The commit has begun; the document may be there."""
    SETTLED = auto()
    """Nothing may be deleted: the document is committed or gone, or its state is unknown."""


class ServerSink:
    """The pages of a document that is not committed yet; implements ``DocumentSink``."""

    def __init__(self, writer: ServerWriter, source: str) -> None:
        """Begin a document."""
        self._writer = writer
        self._index = writer.index
        self._collection = writer.index.collection
        self._source = source
        self._index_id = writer.index.index_id
        self._version = f"v{uuid.uuid4().hex}"
        self._pages: set[int] = set()
        self._waiting: list[Point] = []
        self._state = _State.STAGED
        self._before: CommittedDocument | None = None

    def write(self, page: PreparedPage) -> None:
        """See ``DocumentSink``; pages are sent to the server a few at a time."""
        point = page_point(
            page,
            self._stored(page),
            source=self._source,
            version=self._version,
            index_id=self._index_id,
        )
        self._pages.add(page.record.page_number)
        self._waiting.append(point)
        if sum(one.json_bytes for one in self._waiting) >= BATCH_BYTES // 2:
            self._flush()

    def commit(self, document: DocumentRecord) -> None:
        """See ``DocumentSink``.

        Raises:
            IndexStoreError: The server refuses, and the document is not there; or it is unknown
                whether it is there, and the message says so.
        """
        with self._index.writing():
            self._flush()
            self._index.refresh()
            self._refuse_lost()
            committed = CommittedDocument(
                document, self._index_id, self._version, frozenset(self._pages)
            )
            before, is_altered = self._there()
            self._before = before
            self._state = _State.COMMITTING
            try:
                self._collection.upsert([document_point(committed)])
            except IndexStoreError as error:
                if not (isinstance(error, InDoubtError) and self._is_committed_after_all()):
                    self._state = _State.STAGED
                    self.discard()
                    raise
            self._state = _State.SETTLED
            # An error from here on leaves pages that are never found, or found slowly.
            with suppress(IndexStoreError):
                self._delete_before(before, is_altered=is_altered)
            with suppress(VdrError):
                self._writer.first_stage.bring_up()

    def discard(self) -> None:
        """See ``DocumentSink``; ``clean_up`` deletes pages that cannot be deleted now."""
        self._waiting = []
        with suppress(IndexStoreError):
            if self._state is _State.COMMITTING:
                is_there = self._is_committed_after_all()
                self._state = _State.SETTLED
                if is_there:
                    return
            elif self._state is _State.SETTLED or not self._pages:
                return
            self._state = _State.SETTLED
            where = PAGES & Where.equal(version=self._version)
            self._collection.delete_where(server_filter(where))
        self._pages = set()

    def _stored(self, page: PreparedPage) -> dict[str, NDArray[np.float32]]:
        """The vectors of a page, rounded as a folder rounds them."""
        found: dict[str, NDArray[np.float32]] = {}
        if page.tokens is not None:
            kind = self._index.settings.compression.vectors
            tokens, dimension = page.tokens.shape
            data = token_bytes(page.tokens, vectors=kind)
            found[TOKENS] = token_matrix(data, tokens=tokens, dimension=dimension, vectors=kind)
        if page.dense is not None:
            found[DENSE] = page.dense.astype(np.float32)
        return found

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._collection.upsert(self._writer.first_stage.list_new(waiting))

    def _refuse_lost(self) -> None:
        written = self._collection.count(server_filter(PAGES & Where.equal(version=self._version)))
        if written != len(self._pages) or self._index.index_id != self._index_id:
            raise IndexStoreError(
                f"{self._source}: found {written} of {len(self._pages)} written pages in index "
                f"{self._index.location}; another writer cleaned up, or made the index again. Try "
                f"again."
            )

    def _there(self) -> tuple[CommittedDocument | None, bool]:
        """The stored document, and whether there is one that cannot be read."""
        try:
            return self._index.documents([self._source]).get(self._source), False
        except IndexFormatError:
            return None, True

    def _delete_before(self, before: CommittedDocument | None, *, is_altered: bool) -> None:
        if before is not None:
            self._writer.delete_pages(before)
        elif is_altered:
            own = Where.equal(version=self._version)
            self._collection.delete_where(server_filter(_pages_of(self._source), unless=own))

    def _is_committed_after_all(self) -> bool:
        """Whether the document's point is there, although the server did not confirm it.

        Raises:
            IndexStoreError: That is unknown; nothing may be deleted.
        """
        try:
            # This filter matches nothing. Writes are done in order, so all earlier ones are done
            # when this one is.
            fence = server_filter(Where.equal(kind="fence", version=self._version))
            self._collection.delete_where(fence)
            found = self._index.documents([self._source], everywhere=True).get(self._source)
            is_there = found is not None and found.version == self._version
            if not is_there:
                self._take_back()
        except (IndexFormatError, IndexMismatchError, IndexNotFoundError):
            return False  # another writer wrote what is there
        except IndexStoreError as error:
            self._state = _State.SETTLED
            raise IndexStoreError(
                f"{self._source}: it is unknown whether this document is in index "
                f"{self._index.location}: the server did not confirm the write, and cannot be "
                f"asked now. When it can be used again, look for the document, and index it again "
                f"if it is missing."
            ) from error
        return is_there

    def _take_back(self) -> None:
        """Undo the commit on copies of a cluster that did it while the others did not."""
        own = server_filter(
            DOCUMENTS & Where.equal(owns=self._version), ids=[document_id(self._source)]
        )
        if self._before is None:
            self._collection.delete_where(own)
        else:
            self._collection.set_payload(document_point(self._before).payload, own)


def _pages_of(source: str, version: str | None = None) -> Where:
    where = PAGES & Where.equal(source=source)
    return where if version is None else where & Where.equal(version=version)
