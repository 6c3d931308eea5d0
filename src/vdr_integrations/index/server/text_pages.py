"""All committed pages of a collection and their words, as text searches need them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.page_filter import Where
from vdr_integrations.index.scoring.words import count_words
from vdr_integrations.index.search_steps import ChangedMeanwhileError
from vdr_integrations.index.server.server_filter import DOCUMENTS, server_filter
from vdr_integrations.index.server.troubles import altered
from vdr_integrations.index.server.words_payload import stored_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.index.scoring.words import WordCounts
    from vdr_integrations.index.server.opened import OpenIndex
    from vdr_integrations.index.server.points import CommittedDocument

__all__ = ["TextPages", "TextState"]

_STATES_AT_ONCE = 500


@dataclass(frozen=True, slots=True, eq=False)
class TextState:
    """The documents of a collection at one moment.

    Attributes:
        index_id: Id of the index.
        documents: Documents by the digest of their record.
        first_rows: Row of the first page of each document; the others follow.
        rows: Rows of all pages, int64 (pages,), ascending.
        points: Ids of the points of these pages.
        names: Source and page number of these pages.
        next_row: Row of the next new page.
        sources: Names of the documents.
    """

    index_id: str = ""
    documents: dict[str, CommittedDocument] = field(default_factory=dict[str, "CommittedDocument"])
    first_rows: dict[str, int] = field(default_factory=dict[str, int])
    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    points: list[str] = field(default_factory=list[str])
    names: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    next_row: int = 0
    sources: frozenset[str] = frozenset()


class TextPages:
    """Follows the documents of one index: of each new state, only new documents are read."""

    def __init__(self, index: OpenIndex) -> None:
        """Nothing is read yet."""
        self._index = index
        self._collection = index.collection
        self._state = TextState()

    def now(self) -> TextState:
        """The documents that are committed now.

        Raises:
            IndexFormatError: The record of a document was altered.
            ChangedMeanwhileError: A document changed meanwhile; call again.
        """
        # Every change of a document changes this digest.
        digests = self._collection.counts_by("sha256", server_filter(DOCUMENTS))
        known = self._state
        if known.index_id != self._index.index_id:
            known = TextState(self._index.index_id)
        if digests.keys() != known.documents.keys():
            documents = {one: found for one, found in known.documents.items() if one in digests}
            documents |= self._read([one for one in digests if one not in documents])
            known = _followed(known, documents, index_id=self._index.index_id)
        self._state = known
        return known

    def words(self, state: TextState, indices: NDArray[np.intp]) -> list[WordCounts]:
        """The words of pages of a state.

        Raises:
            IndexFormatError: A page is gone, or its words and its text are not what was written.
            ChangedMeanwhileError: Some pages were removed meanwhile.
        """
        listed: list[int] = indices.tolist()
        ids = [state.points[index] for index in listed]
        found: dict[str, WordCounts] = {}
        for point in self._collection.retrieve(ids, fields=["words", "sha256"]):
            words = stored_words(point)
            if words is not None:
                found[point.id] = words
        for point in self._collection.retrieve([one for one in ids if one not in found]):
            found[point.id] = count_words(self._index.page(point).page.text)
        for index in listed:
            if state.points[index] not in found:
                self.refuse_gone(*state.names[index])
        return [found.pop(one) for one in ids]

    def refuse_gone(self, source: str, page_number: int) -> None:
        """Raise the error of a page of a state that is not there any more.

        Raises:
            IndexFormatError: It should be there.
            ChangedMeanwhileError: It was removed.
        """
        document = self._index.documents([source]).get(source)
        if document is not None:
            point_id = document.point_ids().get(page_number)
            if point_id is not None and not list(self._collection.retrieve([point_id])):
                where = f"{source} page {page_number}"
                raise altered(self._index.location, where, "its record is gone")
        raise ChangedMeanwhileError

    def _read(self, digests: list[str]) -> dict[str, CommittedDocument]:
        found: dict[str, CommittedDocument] = {}
        for start in range(0, len(digests), _STATES_AT_ONCE):
            some = Where.any_of("sha256", digests[start : start + _STATES_AT_ONCE])
            for point in self._collection.scroll(server_filter(DOCUMENTS & some)):
                document = self._index.document_of(point)
                found[str(point.payload["sha256"])] = document
        if len(found) < len(digests):
            raise ChangedMeanwhileError
        return found


def _followed(
    before: TextState, documents: dict[str, CommittedDocument], *, index_id: str
) -> TextState:
    """The state with these documents; pages of known documents keep their rows."""
    first_rows, next_row = dict[str, int](), before.next_row
    for digest, document in documents.items():
        known = before.first_rows.get(digest)
        first_rows[digest] = next_row if known is None else known
        next_row += len(document.pages) if known is None else 0
    listed: list[tuple[int, str, tuple[str, int]]] = []
    for digest, document in documents.items():
        source = document.record.source
        for place, (number, point_id) in enumerate(document.point_ids().items()):
            listed.append((first_rows[digest] + place, point_id, (source, number)))
    listed.sort()
    return TextState(
        index_id,
        documents,
        first_rows,
        np.array([row for row, _, _ in listed], np.int64),
        [point_id for _, point_id, _ in listed],
        [name for _, _, name in listed],
        next_row,
        frozenset(one.record.source for one in documents.values()),
    )
