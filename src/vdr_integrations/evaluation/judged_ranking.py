"""The order in which a system puts pages. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.evaluation.measures import first_relevant_rank, measures_of

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["PageKey", "RankedQuestion", "Ranking"]

PageKey = tuple[str, int]
"""The source of a document in the index, and a 1-based page number."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Pages, best first.

    Attributes:
        pages: Each once; equal scores in any order.
        scores: float32 (pages,), descending.
    """

    pages: Sequence[PageKey]
    scores: NDArray[np.float32]

    def among(self, pages: Container[PageKey]) -> Ranking:
        """The same order of fewer pages."""
        kept = [at for at, page in enumerate(self.pages) if page in pages]
        return Ranking([self.pages[at] for at in kept], self.scores[kept])

    def judged(self, relevant: Mapping[PageKey, int]) -> RankedQuestion:
        """How good it is.

        Args:
            relevant: Grades of the relevant pages; at least one.
        """
        grades = np.array([relevant.get(page, 0) for page in self.pages], np.int64)
        first = next((at for at, grade in enumerate(grades) if grade), None)
        return RankedQuestion(
            measures=measures_of(self.scores, grades, relevant=np.array([*relevant.values()])),
            rank=first_relevant_rank(self.scores, grades),
            best=None if first is None else (self.pages[first], float(self.scores[first])),
            top=(self.pages[0], float(self.scores[0])) if len(self.pages) else None,
        )


@dataclass(frozen=True, slots=True, eq=False)
class RankedQuestion:
    """What is kept of a ranking.

    Attributes:
        measures: float64 (measures,), see ``MEASURES``.
        rank: Expected rank of the first relevant page, from 1; None if it is not ranked.
        best: The first relevant page and its score; None if none is ranked.
        top: The page at the top and its score; None if there are no pages.
    """

    measures: NDArray[np.float64]
    rank: float | None
    best: tuple[PageKey, float] | None
    top: tuple[PageKey, float] | None
