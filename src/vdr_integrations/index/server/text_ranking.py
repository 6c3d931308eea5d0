"""BM25 on a server: words and documents come from it, lists and scores are those of a folder."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.scoring.bm25 import TEXT_DECIMALS, PageTextScores
from vdr_integrations.index.scoring.ranking import best_pages
from vdr_integrations.index.scoring.text_search import TextSearch
from vdr_integrations.index.server.server_filter import PAGES, server_filter
from vdr_integrations.index.server.text_pages import TextPages
from vdr_integrations.index.stored_page import page_id

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.index.page_filter import Where
    from vdr_integrations.index.scoring.bm25 import Corpus
    from vdr_integrations.index.scoring.text_search import AskedWords
    from vdr_integrations.index.server.opened import OpenIndex
    from vdr_integrations.index.server.text_pages import TextState
    from vdr_integrations.types import Hit

__all__ = ["ServerTextSteps", "TextRanking"]


class TextRanking:
    """Finds words in the text layers of one index. Safe to call from any thread."""

    def __init__(self, index: OpenIndex) -> None:
        """Nothing is read yet."""
        self._index = index
        self._pages = TextPages(index)
        self._texts = TextSearch()

    def now(self) -> TextState:
        """The documents that are committed now.

        Raises:
            IndexFormatError: The record of a document was altered.
            ChangedMeanwhileError: A document changed meanwhile.
        """
        return self._pages.now()

    def fitting(self, state: TextState, where: Where) -> NDArray[np.intp]:
        """Pages that match, as positions in the state."""
        if not where.groups:
            return np.arange(len(state.points))
        points = self._index.collection.scroll(server_filter(PAGES & where), fields=["kind"])
        fitting = {point.id for point in points}
        return np.flatnonzero(np.array([one in fitting for one in state.points], np.bool_))

    def asked(self, state: TextState, text: str) -> AskedWords:
        """The words of a text on all pages."""
        return self._texts.asked(
            text,
            index_id=state.index_id,
            rows=state.rows,
            read=partial(self._pages.words, state),
        )

    def hits(self, state: TextState, best: list[tuple[int, float]]) -> list[Hit]:
        """These pages with their scores.

        Raises:
            ChangedMeanwhileError: One was removed meanwhile.
        """
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


class ServerTextSteps:
    """A search by words; see ``TextSearchSteps``."""

    def __init__(self, ranking: TextRanking, text: str, where: Where) -> None:
        """Find the words."""
        self._ranking, self._state = ranking, ranking.now()
        self._pages = ranking.fitting(self._state, where)
        self._words = ranking.asked(self._state, text)

    @property
    def corpus(self) -> Corpus:
        """See ``TextSearchSteps``."""
        return self._words.corpus

    def hits(self, corpus: Corpus, *, k: int) -> list[Hit]:
        """See ``TextSearchSteps``."""
        found, state = self._words.scores(self._pages, corpus), self._state
        matching = found.scores > 0
        best = best_pages(
            found.pages[matching],
            found.scores[matching],
            k=k,
            decimals=TEXT_DECIMALS,
            name=lambda page: state.names[page],
        )
        return self._ranking.hits(state, best)

    def scores(self, corpus: Corpus) -> PageTextScores:
        """See ``TextSearchSteps``."""
        found = self._words.scores(self._pages, corpus)
        ids = [page_id(*self._state.names[page]) for page in found.pages.tolist()]
        return PageTextScores(ids, found.scores)
