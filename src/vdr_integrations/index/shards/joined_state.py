"""Searches in several indexes as in one, which holds all their pages."""

from __future__ import annotations

import functools
import operator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.scoring.bm25 import PageTextScores
from vdr_integrations.index.scoring.fusion import Scale
from vdr_integrations.index.scoring.ranking import contenders, kth_best
from vdr_integrations.index.search_steps import best_hits

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.index.page_filter import Where
    from vdr_integrations.index.scoring.bm25 import Corpus
    from vdr_integrations.index.search_steps import (
        Asked,
        Searches,
        SearchState,
        TextSearchSteps,
        VectorSearchSteps,
    )
    from vdr_integrations.index.shards.doubles import Doubles
    from vdr_integrations.types import Hit

__all__ = ["JoinedSearches"]

_TRIES = 3
"""A document may move from one index to another between the reading of both; then it seems to be in
both, until both are read again."""


class JoinedSearches:
    """Searches several indexes; see ``Searches``.

    Indexes are searched one after the other, so memory is that of one search.
    """

    def __init__(self, parts: Sequence[Searches], doubles: Doubles) -> None:
        """Search these; a document must not be in two."""
        self._parts, self._doubles = parts, doubles

    def state(self) -> JoinedState:
        """See ``Searches``.

        Raises:
            IndexMismatchError: A document is in two indexes.
        """
        tries_left = _TRIES
        while True:
            tries_left -= 1
            states = [part.state() for part in self._parts]
            if self._doubles.are_none([state.sources for state in states], sure=not tries_left):
                return JoinedState(states)

    @contextmanager
    def holding(self) -> Generator[None]:
        """See ``Searches``."""
        with ExitStack() as stack:
            for part in self._parts:
                stack.enter_context(part.holding())
            yield


class JoinedState:
    """One committed state of each index; see ``SearchState``."""

    def __init__(self, states: Sequence[SearchState]) -> None:
        """Search in these states."""
        self._states = states

    @property
    def sources(self) -> Collection[str]:
        """See ``SearchState``."""
        return [source for state in self._states for source in state.sources]

    def page_count(self) -> int:
        """See ``SearchState``."""
        return sum(state.page_count() for state in self._states)

    def by_vectors(self, asked: Asked, *, among: int | None = None) -> JoinedVectorSteps:
        """See ``SearchState``."""
        every = self.page_count() if among is None else among
        steps = [state.by_vectors(asked, among=every) for state in self._states]
        return JoinedVectorSteps(steps, k=asked.k)

    def by_words(self, text: str, where: Where) -> JoinedTextSteps:
        """See ``SearchState``."""
        return JoinedTextSteps([state.by_words(text, where) for state in self._states])

    def rerank(
        self, query: NDArray[np.float32], page_ids: Sequence[str], *, bias_weight: float
    ) -> list[Hit]:
        """See ``SearchState``."""
        found = [state.rerank(query, page_ids, bias_weight=bias_weight) for state in self._states]
        return best_hits([hit for hits in found for hit in hits])


class JoinedVectorSteps:
    """A search by vectors in several indexes; see ``VectorSearchSteps``."""

    def __init__(self, parts: Sequence[VectorSearchSteps], *, k: int) -> None:
        """Join these; each has begun with the same question."""
        self._parts, self._k = parts, k

    def corpus(self) -> Corpus:
        """See ``VectorSearchSteps``."""
        return _added(part.corpus() for part in self._parts)

    def score_words(self, corpus: Corpus) -> Scale:
        """See ``VectorSearchSteps``."""
        return Scale.joined(part.score_words(corpus) for part in self._parts)

    def fuse(self, words: Scale) -> None:
        """See ``VectorSearchSteps``."""
        for part in self._parts:
            part.fuse(words)

    def recall_scale(self) -> Scale:
        """See ``VectorSearchSteps``."""
        return Scale.joined(part.recall_scale() for part in self._parts)

    def recalled(self, scale: Scale, *, most: int) -> NDArray[np.float32]:
        """See ``VectorSearchSteps``."""
        near = np.concatenate([part.recalled(scale, most=most) for part in self._parts])
        return near[contenders(near, k=most)]

    def choose(self, scale: Scale, *, most: int, least: float) -> None:
        """See ``VectorSearchSteps``: the best of all indexes together."""
        worst = max(least, kth_best(self.recalled(scale, most=most), k=most))
        for part in self._parts:
            part.choose(scale, most=most, least=worst)

    def picture_scale(self) -> Scale:
        """See ``VectorSearchSteps``."""
        return Scale.joined(part.picture_scale() for part in self._parts)

    def hits(self, pictures: Scale, *, floor: float) -> list[Hit]:
        """See ``VectorSearchSteps``.

        What was found before raises the floor, so later indexes compare fewer pages.
        """
        found: list[Hit] = []
        for part in self._parts:
            found = best_hits([*found, *part.hits(pictures, floor=floor)], k=self._k)
            if len(found) == self._k:
                floor = max(floor, found[-1].score)
        return found


class JoinedTextSteps:
    """A search by words in several indexes; see ``TextSearchSteps``."""

    def __init__(self, parts: Sequence[TextSearchSteps]) -> None:
        """Join these; each has begun with the same question."""
        self._parts = parts
        self._corpus = _added(part.corpus for part in parts)

    @property
    def corpus(self) -> Corpus:
        """See ``TextSearchSteps``."""
        return self._corpus

    def hits(self, corpus: Corpus, *, k: int) -> list[Hit]:
        """See ``TextSearchSteps``."""
        found = [part.hits(corpus, k=k) for part in self._parts]
        return best_hits([hit for hits in found for hit in hits], k=k)

    def scores(self, corpus: Corpus) -> PageTextScores:
        """See ``TextSearchSteps``."""
        found = [part.scores(corpus) for part in self._parts]
        return PageTextScores(
            [page_id for one in found for page_id in one.page_ids],
            np.concatenate([one.scores for one in found]),
        )


def _added(parts: Iterable[Corpus]) -> Corpus:
    return functools.reduce(operator.add, parts)
