"""The reading half of a late-interaction index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError
from vdr_integrations.index.late_interaction.async_twins import in_thread
from vdr_integrations.index.late_interaction.engine import DENSE, POOLED, TOKENS, Point, Recall
from vdr_integrations.index.late_interaction.explaining import explained_hits
from vdr_integrations.index.late_interaction.filters import Where, parse_filter
from vdr_integrations.index.late_interaction.points import StoredPage, stored_page
from vdr_integrations.index.late_interaction.search import (
    committed_documents,
    default_candidates,
    ranked,
    scored_pages,
    search,
    verified_tokens,
)
from vdr_integrations.index.late_interaction.writing import all_documents, check_unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index.late_interaction.engine import Engine
    from vdr_integrations.index.late_interaction.filters import PageFilter
    from vdr_integrations.index.late_interaction.settings import Settings
    from vdr_integrations.index.records import DocumentRecord
    from vdr_integrations.types import Hit

__all__ = ["PageReader"]

_SCROLLED_AT_ONCE = 1000
_PAGES = Where.equal(kind="page")


class PageReader:
    """Searches, and what is known of documents and pages."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        """Keep the engine; see :class:`LateInteractionIndex`."""
        self._engine = engine
        self._settings = settings

    def documents(self) -> list[DocumentRecord]:
        """All documents, by source."""
        found = [document.record for document in all_documents(self._engine)]
        return sorted(found, key=lambda record: record.source)

    def document(self, source: str) -> DocumentRecord | None:
        """The document called ``source``, or None."""
        found = committed_documents(self._engine, [source]).get(source)
        return None if found is None else found.record

    def count_pages(self, filter: PageFilter | None = None) -> int:  # noqa: A002  # what searches call it too
        """Pages that can be found, or that a filter fits.

        Raises:
            OptionError: No filter, see ``PageFilter``.
        """
        if filter is None:
            return sum(len(document.pages) for document in all_documents(self._engine))
        return len(self.page_ids(filter))

    def page_ids(self, filter: PageFilter | None = None) -> list[str]:  # noqa: A002  # what searches call it too
        """Ids of the pages that a filter fits, or of all, by source and page number."""
        found = self._pages_where(parse_filter(filter))
        found.sort(key=lambda page: (page.source, page.page_number))
        return [page.page_id for page in found]

    def get(self, page_ids: Sequence[str], *, with_vectors: bool = False) -> list[StoredPage]:
        """Pages by their ids, in that order; unknown ids are left out.

        Args:
            page_ids: As in ``Hit.page_id``.
            with_vectors: Bring the vectors too, as they are stored.

        Raises:
            IndexFormatError: Vectors that are not what was written.
        """
        wanted = _listed(page_ids)
        pages = {page.page_id: page for page in self._pages_by_id(wanted, vectors=with_vectors)}
        return [pages[page_id] for page_id in wanted if page_id in pages]

    def vectors_of(self, page_id: str) -> NDArray[np.float32]:
        """The token vectors of a page as they are stored: float32 (tokens, dimension).

        Raises:
            OptionError: There is no such page.
            IndexFormatError: Vectors that are not what was written.
        """
        found = self.get([page_id], with_vectors=True)
        if not found or found[0].vectors is None:
            raise OptionError(f"there is no page {page_id!r} in {self._engine.location}.")
        return found[0].vectors

    def search(
        self,
        query: NDArray[np.float32],
        *,
        k: int = 5,
        filter: PageFilter | None = None,  # noqa: A002  # what users of vector stores call it
        exhaustive: bool = False,
        candidates: int | None = None,
        dense_query: NDArray[np.float32] | None = None,
    ) -> list[Hit]:
        """The pages that match a query best by MaxSim, best first.

        Scores are those of :func:`maxsim_score` over the stored vectors, equal ones in the order
        of source and page number. Up to twice ``candidates`` pages are compared one by one. Of
        more, only the ``candidates`` that look best by the means of their parts are (or by their
        dense vectors, where ``dense_query`` is given); see ``default_candidates`` for what that
        misses. An index with quantised copies looks at those of all pages instead, unless
        ``candidates`` is given.

        Args:
            query: float32 (query tokens, dimension), rows of length 1, from the encoder that made
                the index.
            k: At most this many hits; at least 1.
            filter: Only pages that fit, see ``PageFilter``.
            exhaustive: Compare all pages one by one.
            candidates: Pages that the first stage brings; at least ``k``.
            dense_query: float32 (dense dimension,) of length 1, from the dense encoder of the
                index: bring candidates by dense vectors, however small the index is.

        Raises:
            OptionError: Arguments outside what is allowed.
            InvalidVectorError: NaN, infinity, or a vector not of length 1.
            IndexFormatError: The index is damaged.
        """
        if k < 1:
            raise OptionError(f"k is the number of hits and at least 1, found {k}.")
        wanted = default_candidates(k) if candidates is None else candidates
        if wanted < k:
            raise OptionError(f"candidates must be at least k={k}, found {candidates}.")
        if exhaustive and (candidates is not None or dense_query is not None):
            raise OptionError("an exhaustive search has no candidates and no dense query.")
        self._check_query(query)
        where, exact = _PAGES & parse_filter(filter), False
        if dense_query is not None:
            recall = Recall(DENSE, self._checked_dense(dense_query), wanted)
        elif exhaustive or self._engine.count(where) <= 2 * wanted:
            recall, exact = None, True
        elif candidates is None and self._settings.compression.quantization is not None:
            recall = None
        else:
            recall = Recall(POOLED, query, wanted)
        hits = search(self._engine, query, k=k, where=where, recall=recall, exact=exact)
        return self._explained(hits, query)

    def search_many(
        self,
        queries: Sequence[NDArray[np.float32]],
        *,
        k: int = 5,
        filter: PageFilter | None = None,  # noqa: A002  # what users of vector stores call it
        exhaustive: bool = False,
        candidates: int | None = None,
    ) -> list[list[Hit]]:
        """The hits of each query, see :meth:`search`."""
        return [
            self.search(query, k=k, filter=filter, exhaustive=exhaustive, candidates=candidates)
            for query in queries
        ]

    def rerank(self, query: NDArray[np.float32], page_ids: Sequence[str]) -> list[Hit]:
        """All of these pages with their exact scores, best first; unknown ids are left out.

        Args:
            query: float32 (query tokens, dimension), rows of length 1.
            page_ids: As in ``Hit.page_id``, found by whatever means.

        Raises:
            OptionError: A query of another shape or dtype.
            InvalidVectorError: NaN, infinity, or a vector not of length 1.
            IndexFormatError: The index is damaged.
        """
        self._check_query(query)
        wanted = _listed(page_ids)
        points = self._points_where(_PAGES & Where.any_of("page_id", wanted)) if wanted else []
        found = scored_pages(self._engine, query, [point.id for point in points])
        return self._explained(ranked(hit for _, hit in found), query)

    aget = in_thread(get)
    asearch = in_thread(search)
    asearch_many = in_thread(search_many)
    arerank = in_thread(rerank)

    def _explained(self, hits: list[Hit], query: NDArray[np.float32]) -> list[Hit]:
        return explained_hits(hits, reader=self, query=query, settings=self._settings)

    def _check_query(self, query: NDArray[np.float32]) -> None:
        check_unit_rows("the query", query, dimension=self._settings.manifest.dimension)

    def _checked_dense(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        dense = self._settings.dense
        if dense is None:
            raise OptionError(
                f"index {self._engine.location} was made without dense vectors; leave dense_query "
                f"out, or index again with dense_manifest."
            )
        if query.shape != (dense.dimension,):
            raise OptionError(
                f"dense_query must have the shape ({dense.dimension},), found {query.shape}."
            )
        check_unit_rows("dense_query", query[None], dimension=dense.dimension)
        return query

    def _pages_by_id(self, page_ids: Sequence[str], *, vectors: bool) -> list[StoredPage]:
        if not page_ids:
            return []
        points = self._points_where(_PAGES & Where.any_of("page_id", page_ids))
        names = [TOKENS] if self._settings.dense is None else [TOKENS, DENSE]
        if vectors:
            points = self._engine.retrieve([point.id for point in points], vectors=names)
        return self._committed(points, vectors=vectors)

    def _pages_where(self, where: Where) -> list[StoredPage]:
        return self._committed(self._points_where(_PAGES & where), vectors=False)

    def _points_where(self, where: Where) -> list[Point]:
        return [point for stretch in self._stretches(where) for point in stretch]

    def _stretches(self, where: Where) -> Iterator[list[Point]]:
        after = None
        while True:
            points, after = self._engine.scroll(where, limit=_SCROLLED_AT_ONCE, after=after)
            yield points
            if after is None:
                return

    def _committed(self, points: Sequence[Point], *, vectors: bool) -> list[StoredPage]:
        documents = committed_documents(self._engine, {point.payload["source"] for point in points})
        pages: list[StoredPage] = []
        for point in points:
            document = documents.get(point.payload["source"])
            if document is None or not document.owns(point.payload):
                continue
            tokens = verified_tokens(self._engine, point) if vectors else None
            dense = point.vectors.get(DENSE)
            pages.append(stored_page(point.payload, document, vectors=tokens, dense=dense))
        return pages


def _listed(page_ids: Sequence[str]) -> list[str]:
    if isinstance(page_ids, str):
        raise OptionError("page ids come in a list; for one write [page_id].")
    return list(dict.fromkeys(page_ids))
