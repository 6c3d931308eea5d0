"""Searches on a server, step by step."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.scoring.candidates import SMALL_INDEX_PAGES, first_count
from vdr_integrations.index.scoring.fusion import FUSED_DECIMALS, Scale
from vdr_integrations.index.scoring.stop_words import main_words
from vdr_integrations.index.search_steps import ChangedMeanwhileError, DenseSearch
from vdr_integrations.index.server.hybrid_words import HybridWords
from vdr_integrations.index.server.server_filter import PAGES, server_filter
from vdr_integrations.index.server.text_ranking import ServerTextSteps, TextRanking

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from vdr_integrations.index.hybrid import HybridQuery
    from vdr_integrations.index.page_filter import Where
    from vdr_integrations.index.scoring.bm25 import Corpus, TextScores
    from vdr_integrations.index.scoring.text_search import AskedWords
    from vdr_integrations.index.search_steps import Asked, MaxSimSearch
    from vdr_integrations.index.server.opened import OpenIndex
    from vdr_integrations.index.server.search import Ask, ServerSearch
    from vdr_integrations.index.server.text_pages import TextState
    from vdr_integrations.types import Hit

__all__ = ["ServerSearches"]


class ServerSearches:
    """Searches one index. Safe to call from any thread.

    A server has no states: a search sees each document as it was at one moment. So this is its own
    ``SearchState``.
    """

    def __init__(self, index: OpenIndex, search: ServerSearch) -> None:
        """Nothing is searched yet."""
        self._collection = index.collection
        self._search = search
        self._texts = TextRanking(index)

    def state(self) -> ServerSearches:
        """See ``Searches``."""
        return self

    def holding(self) -> AbstractContextManager[object]:
        """See ``Searches``; a server makes no writer wait."""
        return nullcontext()

    @property
    def sources(self) -> Collection[str]:
        """See ``SearchState``."""
        return self._texts.now().sources

    def page_count(self) -> int:
        """See ``SearchState``; pages that are not committed count too."""
        return self._collection.count(server_filter(PAGES))

    def by_vectors(self, asked: Asked, *, among: int | None = None) -> _VectorSteps | _DenseSteps:  # noqa: ARG002  # a server is asked once
        """See ``SearchState``."""
        if isinstance(asked, DenseSearch):
            return _DenseSteps(self._search, asked)
        if asked.hybrid is not None:
            return _HybridSteps(self._search, asked, self._texts, asked.hybrid)
        return _VectorSteps(self._search, asked)

    def by_words(self, text: str, where: Where) -> ServerTextSteps:
        """See ``SearchState``."""
        return ServerTextSteps(self._texts, text, where)

    def rerank(
        self, query: NDArray[np.float32], page_ids: Sequence[str], *, bias_weight: float
    ) -> list[Hit]:
        """See ``SearchState``."""
        return self._search.rerank(query, page_ids, bias_weight=bias_weight)


class _Steps:
    """The steps of a search whose words do not count; see ``VectorSearchSteps``."""

    def __init__(self, search: ServerSearch) -> None:
        self._search = search

    def corpus(self) -> Corpus:
        """See ``VectorSearchSteps``."""
        raise NotImplementedError

    def score_words(self, corpus: Corpus) -> Scale:
        """See ``VectorSearchSteps``."""
        raise NotImplementedError

    def fuse(self, words: Scale) -> None:
        """See ``VectorSearchSteps``."""
        raise NotImplementedError

    def recall_scale(self) -> Scale:
        """See ``VectorSearchSteps``."""
        return Scale()

    def recalled(self, scale: Scale, *, most: int) -> NDArray[np.float32]:  # noqa: ARG002
        """See ``VectorSearchSteps``."""
        return np.empty(0, np.float32)

    def choose(self, scale: Scale, *, most: int, least: float) -> None:
        """See ``VectorSearchSteps``."""

    def picture_scale(self) -> Scale:
        """See ``VectorSearchSteps``."""
        return Scale()


class _DenseSteps(_Steps):
    """A search by dense vectors alone."""

    def __init__(self, search: ServerSearch, asked: DenseSearch) -> None:
        super().__init__(search)
        self._asked = asked

    def hits(self, pictures: Scale, *, floor: float) -> list[Hit]:  # noqa: ARG002
        """See ``VectorSearchSteps``."""
        return self._search.search_dense(self._asked)


class _VectorSteps(_Steps):
    """A search by token vectors."""

    def __init__(self, search: ServerSearch, asked: MaxSimSearch) -> None:
        super().__init__(search)
        self._asked = asked
        self._near: NDArray[np.float32] | None = None
        self._chosen: int | None = None

    def recalled(self, scale: Scale, *, most: int) -> NDArray[np.float32]:  # noqa: ARG002
        """See ``VectorSearchSteps``; the server is asked once, also if pages are then chosen."""
        if self._near is None:
            query = self._asked.dense_query
            assert query is not None  # noqa: S101  # else nothing is selected by it
            self._near = self._search.dense_scores(query, self._asked.where, most=most)
        return self._near

    def choose(self, scale: Scale, *, most: int, least: float) -> None:
        """See ``VectorSearchSteps``."""
        self._chosen = most
        if np.isfinite(least):
            self._chosen = int((self.recalled(scale, most=most) >= least).sum())

    def hits(self, pictures: Scale, *, floor: float) -> list[Hit]:  # noqa: ARG002
        """See ``VectorSearchSteps``."""
        chosen, asked = self._chosen, self._asked
        if chosen is None:
            return self._search.search(asked)
        # With fewer candidates than hits, the search would go on to look for more of them.
        few = replace(asked, k=min(asked.k, chosen))
        return self._search.search(few, recalled=chosen) if chosen else []


class _HybridSteps(_VectorSteps):
    """A search by pictures and words together.

    In a large index, the best pages by pictures and the best by words are compared. The scale of
    the pictures then comes from pages that stand for all. Each server chooses its candidates alone.
    """

    def __init__(
        self, search: ServerSearch, asked: MaxSimSearch, texts: TextRanking, hybrid: HybridQuery
    ) -> None:
        super().__init__(search, asked)
        self._texts, self._hybrid = texts, hybrid
        self._state: TextState = texts.now()
        self._pages = texts.fitting(self._state, asked.where)
        self._asked_words: AskedWords | None = None
        self._scores: TextScores | None = None
        self._words: HybridWords | None = None
        self._pictures: dict[str, float] = {}
        self._others: dict[str, float] = {}

    def corpus(self) -> Corpus:
        """See ``VectorSearchSteps``."""
        self._asked_words = self._texts.asked(self._state, main_words(self._hybrid.text))
        return self._asked_words.corpus

    def score_words(self, corpus: Corpus) -> Scale:
        """See ``VectorSearchSteps``."""
        assert self._asked_words is not None  # noqa: S101  # found before
        self._scores = self._asked_words.scores(self._pages, corpus)
        return Scale.of_words(self._scores)

    def fuse(self, words: Scale) -> None:
        """See ``VectorSearchSteps``."""
        assert self._scores is not None  # noqa: S101  # scored before
        self._words = HybridWords(
            self._state.points, self._pages, self._scores, self._hybrid.weights, scale=words
        )

    def recalled(self, scale: Scale, *, most: int) -> NDArray[np.float32]:  # noqa: ARG002
        """See ``VectorSearchSteps``."""
        return np.empty(0, np.float32)

    def choose(self, scale: Scale, *, most: int, least: float) -> None:  # noqa: ARG002
        """See ``VectorSearchSteps``."""
        self._chosen = most

    def picture_scale(self) -> Scale:
        """See ``VectorSearchSteps``.

        Raises:
            ChangedMeanwhileError: A document was replaced since its words were found.
        """
        words = self._words
        assert words is not None  # noqa: S101  # fused before
        self._pictures, self._others = self._scored(words)
        if words.count != sum(point in words for point in self._pictures) and not self._others:
            raise ChangedMeanwhileError
        return words.scale(self._pictures, self._others)

    def hits(self, pictures: Scale, *, floor: float) -> list[Hit]:  # noqa: ARG002
        """See ``VectorSearchSteps``.

        Raises:
            ChangedMeanwhileError: A document was replaced since its words were found.
        """
        words = self._words
        assert words is not None  # noqa: S101  # fused before
        fused = words.fused({**self._others, **self._pictures}, pictures)

        def ask(limit: int, _: int) -> tuple[list[tuple[str, float]], bool]:
            return fused[:limit], False

        def worth(exact: dict[str, float]) -> dict[str, float]:
            scored = words.fused(exact, pictures)
            return {one: round(score, FUSED_DECIMALS) + 0.0 for one, score in scored}

        return self._search.best_of(self._asked, ask, worth)

    def _scored(self, words: HybridWords) -> tuple[dict[str, float], dict[str, float]]:
        """Scores by vectors of the pages that may be found, and of some that stand for the others.

        The second are empty if all pages may be found.
        """
        asked, search = self._asked, self._search
        query, weight, k = asked.query, asked.bias_weight, asked.k
        few = first_count(k) if asked.candidates is None else asked.candidates
        most = SMALL_INDEX_PAGES if asked.candidates is None else 2 * few
        if asked.exhaustive or words.count <= max(most, 2 * few):
            return search.all_scores(query, asked.where, weight=weight), {}
        named = search.scores_of(query, words.best(few), weight=weight)
        ask = search.candidates(asked, recalled=self._chosen)
        pictures = {**named, **_best_pictures(ask, words, count=few)}
        some = words.some(first_count(k), without=pictures)
        return pictures, search.scores_of(query, some, weight=weight)


def _best_pictures(ask: Ask, words: HybridWords, *, count: int) -> dict[str, float]:
    """The best committed pages by pictures; others that the server finds do not count."""
    widened = 0
    while True:
        limit = count << widened
        answered, _ = ask(limit, widened)
        known = {point: score for point, score in answered if point in words}
        if len(known) >= count or len(answered) < limit:
            return known
        widened += 1
