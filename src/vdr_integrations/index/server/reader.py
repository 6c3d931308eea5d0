"""Read documents and pages. A page counts only if a committed document owns it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vdr_integrations.errors import IndexLockedError
from vdr_integrations.index.page_filter import Where
from vdr_integrations.index.server.collection import DENSE, TOKENS
from vdr_integrations.index.server.points import vectors_digest
from vdr_integrations.index.server.server_filter import PAGES, server_filter
from vdr_integrations.index.server.troubles import altered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vdr_integrations.index.question_bank import QuestionBank
    from vdr_integrations.index.records import DocumentRecord
    from vdr_integrations.index.server.collection import Point
    from vdr_integrations.index.server.opened import OpenIndex
    from vdr_integrations.index.server.points import CommittedDocument, KeptPage
    from vdr_integrations.index.stored_page import StoredPage

__all__ = ["TRIES", "ServerReader", "too_fast"]

TRIES = 20
_VALUES_AT_ONCE = 500


class ServerReader:
    """Reads one index. Safe to call from any thread.

    A call sees each document as it was at one moment. If one was replaced meanwhile, the call reads
    again.
    """

    def __init__(self, index: OpenIndex) -> None:
        """Nothing is read yet."""
        self._index = index
        self._collection = index.collection

    def question_bank(self) -> QuestionBank | None:
        """See ``Engine``."""
        return self._index.question_bank()

    def documents(self, *, skip_altered: bool = False) -> list[DocumentRecord]:
        """See ``Engine``."""
        if skip_altered:
            return [one.record for one in self._index.all_documents()[0]]
        return [one.record for one in self._index.whole_documents()]

    def altered_documents(self) -> list[str]:
        """See ``Engine``."""
        return self._index.all_documents()[1]

    def document(self, source: str) -> DocumentRecord | None:
        """See ``Engine``."""
        found = self._index.documents([source]).get(source)
        return None if found is None else found.record

    def count_pages(self, where: Where) -> int:
        """See ``Engine``."""
        if where.groups:
            return len(self.pages_where(where))
        return sum(len(document.pages) for document in self._index.whole_documents())

    def pages_where(self, where: Where) -> list[StoredPage]:
        """See ``Engine``."""
        asked = _asked_sources(where)
        for _ in range(TRIES):
            before = self._documents(asked)
            points = list(self._collection.scroll(server_filter(PAGES & where)))
            found = [
                _stored(kept, before[kept.page.source])
                for kept in map(self._index.page, points)
                if kept.is_of(before.get(kept.page.source))
            ]
            # Pages may be added and removed while they are listed; the documents show that.
            if _versions(self._documents(asked)) == _versions(before):
                return sorted(found, key=lambda page: (page.source, page.page_number))
        raise too_fast(self._index)

    def pages(self, page_ids: Sequence[str], *, vectors: bool) -> list[StoredPage]:
        """See ``Engine``."""
        found = {page.page_id: page for page in self._by("page_id", page_ids, vectors=vectors)}
        return [found[page_id] for page_id in page_ids if page_id in found]

    def pages_of_ref(self, page_ref: str) -> list[StoredPage]:
        """See ``Engine``."""
        found = self._by("page_ref", [page_ref], vectors=False)
        return sorted(found, key=lambda page: (page.source, page.page_number))

    def with_vectors(self, point: Point, kept: KeptPage) -> StoredPage:
        """A page together with the vectors of its point.

        Raises:
            IndexFormatError: The vectors are not what was written.
        """
        if vectors_digest(point.vectors) != kept.vectors:
            raise altered(self._index.location, kept.where, "its vectors were altered")
        return replace(kept.page, vectors=point.vectors.get(TOKENS), dense=point.vectors.get(DENSE))

    def vector_names(self) -> list[str]:
        """Names of the vectors of a page."""
        settings = self._index.settings
        kinds = ((TOKENS, settings.tokens), (DENSE, settings.dense))
        return [name for name, manifest in kinds if manifest is not None]

    def ids_by(self, key: str, values: Sequence[str]) -> list[str]:
        """Ids of the points of pages that have one of these values, also of uncommitted pages."""
        found: list[str] = []
        for start in range(0, len(values), _VALUES_AT_ONCE):
            where = PAGES & Where.any_of(key, values[start : start + _VALUES_AT_ONCE])
            points = self._collection.scroll(server_filter(where), fields=["kind"])
            found += [point.id for point in points]
        return found

    def settled(self, read: Callable[[Counted], list[StoredPage]]) -> list[StoredPage]:
        """Call ``read`` until no page that it met was replaced meanwhile; returns its result.

        Raises:
            IndexLockedError: Pages were replaced during each attempt.
        """
        lost: frozenset[str] = frozenset()
        for _ in range(TRIES):
            counted = Counted(self._index)
            found = read(counted)
            # Pages that a killed writer left are lost in the next attempt too.
            if counted.lost <= lost:
                return found
            lost = counted.lost
        raise too_fast(self._index)

    def _by(self, key: str, values: Sequence[str], *, vectors: bool) -> list[StoredPage]:
        if not values:
            return []
        names = self.vector_names() if vectors else []

        def read(counted: Counted) -> list[StoredPage]:
            found: list[StoredPage] = []
            gone = dict.fromkeys(self.ids_by(key, values))
            for point in self._collection.retrieve(list(gone), vectors=names):
                del gone[point.id]
                kept = self._index.page(point)
                page = self.with_vectors(point, kept) if vectors else kept.page
                document = counted.owner(point.id, kept)
                if document is not None:
                    found.append(replace(page, total_pages=document.record.total_pages))
            counted.add_gone(gone)
            return found

        return self.settled(read)

    def _documents(self, sources: Iterable[str] | None) -> dict[str, CommittedDocument]:
        if sources is not None:
            return self._index.documents(sources)
        return {document.record.source: document for document in self._index.whole_documents()}


class Counted:
    """Decides which pages count. It looks up each document once.

    Attributes:
        lost: Ids of points of pages that were deleted, or that belong to another version than their
            document has now.
    """

    def __init__(self, index: OpenIndex) -> None:
        """Nothing is looked up yet."""
        self._index = index
        self._documents: dict[str, CommittedDocument | None] = {}
        self.lost: frozenset[str] = frozenset()

    def add_gone(self, point_ids: Iterable[str]) -> None:
        """Record pages that were found, and deleted before they could be read."""
        self.lost |= frozenset(point_ids)

    def look_up(self, pages: Iterable[KeptPage]) -> None:
        """Look up the documents of these pages in one call."""
        sources = {kept.page.source for kept in pages}.difference(self._documents)
        if sources:
            found = self._index.documents(sorted(sources))
            self._documents.update({source: found.get(source) for source in sources})

    def owner(self, point_id: str, kept: KeptPage) -> CommittedDocument | None:
        """The document of a page; None if the page does not count any more, or not yet."""
        self.look_up([kept])
        document = self._documents[kept.page.source]
        if document is not None and not kept.is_of(document):
            self.lost |= {point_id}
            return None
        return document


def too_fast(index: OpenIndex) -> IndexLockedError:
    """The error of an index that changed during each attempt to read it."""
    return IndexLockedError(
        f"index {index.location} changed during each of {TRIES} attempts to read it; try again."
    )


def _stored(kept: KeptPage, document: CommittedDocument) -> StoredPage:
    return replace(kept.page, total_pages=document.record.total_pages)


def _versions(documents: dict[str, CommittedDocument]) -> dict[str, tuple[str, frozenset[int]]]:
    return {source: (found.version, found.pages) for source, found in documents.items()}


def _asked_sources(where: Where) -> set[str] | None:
    """The sources that a filter allows; None if it allows any."""
    for group in where.groups:
        if all(condition.key == "source" for condition in group):
            return {text for condition in group for text in condition.texts}
    return None
