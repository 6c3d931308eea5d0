"""The steps of a search, which are the same for one index and for several that count as one.

Scores of pages depend on other pages: BM25 on how many pages have a word, a hybrid search on the
mean of all scores. So each index says what it knows of its pages, these numbers are added up
(``index/shards/joined_state.py``), and each index then finds its best pages by the sums.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import numpy as np

from vdr_integrations.errors import IndexLockedError
from vdr_integrations.index.scoring.candidates import most_candidates
from vdr_integrations.index.scoring.fusion import Scale

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from vdr_integrations.index.hybrid import HybridQuery
    from vdr_integrations.index.page_filter import Where
    from vdr_integrations.index.scoring.bm25 import Corpus, PageTextScores
    from vdr_integrations.types import Hit
    from vdr_integrations.types.hit import ScoreKind

__all__ = [
    "Asked",
    "ChangedMeanwhileError",
    "DenseSearch",
    "MaxSimSearch",
    "SearchState",
    "Searches",
    "TextSearchSteps",
    "VectorSearchSteps",
    "best_hits",
    "hits_by_text",
    "hits_by_vectors",
    "of_one_state",
]

_FREE_TRIES = 2
_TRIES = 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class MaxSimSearch:
    """Arguments of a late-interaction search.

    Attributes:
        query: float32 (query tokens, dimension), rows of length 1.
        k: Maximum number of hits.
        where: Only pages that match these conditions.
        candidates: Number of pages that the first stage selects; None lets the search decide.
        exhaustive: Compare all pages one by one.
        dense_query: float32 (dense dimension,) of length 1; selects the candidates.
        bias_weight: How many times the bias of a page is subtracted from its MaxSim.
        hybrid: The words of the question, if they count too.
    """

    query: NDArray[np.float32]
    k: int
    where: Where
    candidates: int | None = None
    exhaustive: bool = False
    dense_query: NDArray[np.float32] | None = None
    bias_weight: float = 0.0
    hybrid: HybridQuery | None = None

    @property
    def score_kind(self) -> ScoreKind:
        """What the scores of the hits are."""
        if self.hybrid is not None:
            return "hybrid"
        return "corrected" if self.bias_weight else "maxsim"


@dataclass(frozen=True, slots=True, eq=False)
class DenseSearch:
    """Arguments of a search by dense vectors.

    Attributes:
        query: float32 (dimension,) of length 1.
        k: Maximum number of hits.
        where: Only pages that match these conditions.
        hybrid: The words of the question, if they count too.
    """

    query: NDArray[np.float32]
    k: int
    where: Where
    hybrid: HybridQuery | None = None
    dense_query: None = None

    @property
    def score_kind(self) -> ScoreKind:
        """What the scores of the hits are."""
        return "cosine" if self.hybrid is None else "hybrid"


Asked: TypeAlias = MaxSimSearch | DenseSearch


class ChangedMeanwhileError(Exception):
    """Pages of a state were removed while they were read: the state is not the newest any more."""


class VectorSearchSteps(Protocol):
    """One search by vectors in one state of an index, step by step, in this order.

    The first three are only for hybrid searches, and ``recall_scale``, ``recalled`` and ``choose``
    only for those whose candidates are selected by dense vectors.
    """

    def corpus(self) -> Corpus:
        """What the words of the question depend on."""
        ...

    def score_words(self, corpus: Corpus) -> Scale:
        """The scale of the words' scores on the pages that are searched."""
        ...

    def fuse(self, words: Scale) -> None:
        """Let the words count from now on, on this scale."""
        ...

    def recall_scale(self) -> Scale:
        """The scale of the dense scores of the pages that are searched."""
        ...

    def recalled(self, scale: Scale, *, most: int) -> NDArray[np.float32]:
        """The ``most`` best scores by which candidates are selected, in any order."""
        ...

    def choose(self, scale: Scale, *, most: int, least: float) -> None:
        """Select the ``most`` best candidates, but none with a score below ``least``."""
        ...

    def picture_scale(self) -> Scale:
        """The scale of the scores by vectors of the pages that are searched."""
        ...

    def hits(self, pictures: Scale, *, floor: float) -> list[Hit]:
        """The best pages, best first.

        Args:
            pictures: Scale of the scores by vectors, if the words count too.
            floor: Pages with a lower score are of no use; a search may end early.
        """
        ...


class TextSearchSteps(Protocol):
    """One search by words in one state of an index.

    Attributes:
        corpus: What the scores depend on.
    """

    @property
    def corpus(self) -> Corpus:
        """What the scores of all pages depend on."""
        ...

    def hits(self, corpus: Corpus, *, k: int) -> list[Hit]:
        """The best pages that have a word of the text, best first."""
        ...

    def scores(self, corpus: Corpus) -> PageTextScores:
        """The scores of all pages with text that match."""
        ...


class SearchState(Protocol):
    """One committed state of an index, in which pages are searched.

    Its methods raise :class:`ChangedMeanwhileError` if pages are gone that they have to read.
    """

    @property
    def sources(self) -> Collection[str]:
        """Names of all documents; the same object while they stay the same."""
        ...

    def page_count(self) -> int:
        """Number of pages."""
        ...

    def by_vectors(self, asked: Asked, *, among: int | None = None) -> VectorSearchSteps:
        """Begin a search by vectors.

        Args:
            asked: The search.
            among: Number of pages of all indexes that are searched together; None: of this one.
        """
        ...

    def by_words(self, text: str, where: Where) -> TextSearchSteps:
        """Begin a search by words."""
        ...

    def rerank(
        self, query: NDArray[np.float32], page_ids: Sequence[str], *, bias_weight: float
    ) -> list[Hit]:
        """These pages with their exact scores, best first; unknown ids are left out."""
        ...


class Searches(Protocol):
    """Finds and scores pages."""

    def state(self) -> SearchState:
        """The state that is committed now."""
        ...

    def holding(self) -> AbstractContextManager[object]:
        """Make writers wait, if the place can do that, so that states stay what they are."""
        ...


def of_one_state(searches: Searches, work: Callable[[SearchState], T], *, place: Path | str) -> T:
    """The result of ``work`` on one committed state.

    If writers removed pages of the state twice, writers wait during further attempts.

    Raises:
        IndexLockedError: Pages were removed during each attempt.
    """
    for _ in range(_FREE_TRIES):
        with suppress(ChangedMeanwhileError):
            return work(searches.state())
    with ExitStack() as stack:
        stack.enter_context(searches.holding())
        for _ in range(_TRIES - _FREE_TRIES):
            with suppress(ChangedMeanwhileError):
                return work(searches.state())
    raise IndexLockedError(
        f"index {place} changed during each of {_TRIES} attempts to read it; try again."
    )


def hits_by_vectors(state: SearchState, asked: Asked) -> list[Hit]:
    """The best pages by vectors, best first, and by words too if the search says so."""
    search = state.by_vectors(asked)
    is_hybrid = asked.hybrid is not None
    if is_hybrid:
        search.fuse(search.score_words(search.corpus()))
    if asked.dense_query is not None:
        most = asked.candidates
        if most is None:
            most = most_candidates(state.page_count(), k=asked.k)
        scale = search.recall_scale() if is_hybrid else Scale()
        search.choose(scale, most=most, least=-np.inf)
    return search.hits(search.picture_scale() if is_hybrid else Scale(), floor=-np.inf)


def hits_by_text(state: SearchState, text: str, *, k: int, where: Where) -> list[Hit]:
    """The best pages by BM25, best first; only pages that have a word of the text."""
    search = state.by_words(text, where)
    return search.hits(search.corpus, k=k)


def best_hits(hits: Sequence[Hit], *, k: int | None = None) -> list[Hit]:
    """The ``k`` best, or all, best first; equal ones are sorted by source and page number."""
    return sorted(hits, key=lambda hit: (-hit.score, hit.source, hit.page_number))[:k]
