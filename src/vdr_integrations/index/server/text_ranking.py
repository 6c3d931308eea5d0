"""BM25 on a server: words and documents come from it, lists and scores are those of a folder."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vdr_integrations.index.scoring.bm25 import TEXT_DECIMALS, PageTextScores
from vdr_integrations.index.scoring.ranking import best_pages
from vdr_integrations.index.scoring.stop_words import main_words
from vdr_integrations.index.scoring.text_search import TextSearch
from vdr_integrations.index.server.hybrid_words import HybridWords
from vdr_integrations.index.server.reader import TRIES, too_fast
from vdr_integrations.index.server.server_filter import PAGES, server_filter
from vdr_integrations.index.server.text_pages import ChangedMeanwhileError, TextPages
from vdr_integrations.index.stored_page import page_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from vdr_integrations.index.hybrid import HybridQuery
    from vdr_integrations.index.page_filter import Where
    from vdr_integrations.index.scoring.bm25 import TextScores
    from vdr_integrations.index.server.opened import OpenIndex
    from vdr_integrations.index.server.text_pages import TextState
    from vdr_integrations.types import Hit

__all__ = ["TextRanking"]

T = TypeVar("T")


class TextRanking:
    """Ranks the text layers of one index. Safe to call from any thread."""

    def __init__(self, index: OpenIndex) -> None:
        """Nothing is read yet."""
        self._index = index
        self._pages = TextPages(index)
        self._texts = TextSearch()

    def search(self, text: str, *, k: int, where: Where) -> list[Hit]:
        """See ``Engine.search_text``."""

        def work(state: TextState) -> list[Hit]:
            found = self._scores(state, text, where)
            matching = found.scores > 0
            best = best_pages(
                found.pages[matching],
                found.scores[matching],
                k=k,
                decimals=TEXT_DECIMALS,
                name=lambda page: state.names[page],
            )
            return self._hits(state, best)

        return self._of_one_state(work)

    def scores(self, text: str, where: Where) -> PageTextScores:
        """See ``Engine.text_scores``."""

        def work(state: TextState) -> PageTextScores:
            found = self._scores(state, text, where)
            ids = [page_id(*state.names[page]) for page in found.pages.tolist()]
            return PageTextScores(ids, found.scores)

        return self._of_one_state(work)

    def words(self, hybrid: HybridQuery, where: Where) -> HybridWords:
        """The words of a question on all pages that match."""

        def work(state: TextState) -> HybridWords:
            pages = self._fitting(state, where)
            texts = self._scores_of(state, main_words(hybrid.text), pages)
            return HybridWords(state.points, pages, texts, hybrid.weights)

        return self._of_one_state(work)

    def _of_one_state(self, work: Callable[[TextState], T]) -> T:
        for _ in range(TRIES):
            with suppress(ChangedMeanwhileError):
                return work(self._pages.now())
        raise too_fast(self._index)

    def _fitting(self, state: TextState, where: Where) -> NDArray[np.intp]:
        if not where.groups:
            return np.arange(len(state.points))
        points = self._index.collection.scroll(server_filter(PAGES & where), fields=["kind"])
        fitting = {point.id for point in points}
        return np.flatnonzero(np.array([one in fitting for one in state.points], np.bool_))

    def _scores(self, state: TextState, text: str, where: Where) -> TextScores:
        return self._scores_of(state, text, self._fitting(state, where))

    def _scores_of(self, state: TextState, text: str, pages: NDArray[np.intp]) -> TextScores:
        return self._texts.scores(
            text,
            pages,
            index_id=state.index_id,
            rows=state.rows,
            read=partial(self._pages.words, state),
        )

    def _hits(self, state: TextState, best: list[tuple[int, float]]) -> list[Hit]:
        ids = [state.points[page] for page, _ in best]
        kept = {point.id: point for point in self._index.collection.retrieve(ids)}
        totals = {one.record.source: one.record.total_pages for one in state.documents.values()}
        hits: list[Hit] = []
        for point_id, (page, score) in zip(ids, best, strict=True):
            if point_id not in kept:
                self._pages.refuse_gone(*state.names[page])
            found = self._index.page(kept[point_id]).page
            whole = replace(found, total_pages=totals[found.source])
            hits.append(whole.hit(score, "bm25"))
        return hits
