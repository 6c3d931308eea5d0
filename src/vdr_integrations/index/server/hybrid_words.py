"""The words of a question on the pages of a server, to be added to the scores of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.scoring.candidates import spread_over
from vdr_integrations.index.scoring.fusion import Fusion, Scale
from vdr_integrations.index.scoring.ranking import MAXSIM_DECIMALS, best_first

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.index.hybrid import Hybrid
    from vdr_integrations.index.scoring.bm25 import TextScores

__all__ = ["HybridWords"]


class HybridWords:
    """BM25 of all pages of a search, by the ids of their points.

    Attributes:
        count: Number of pages.
    """

    def __init__(
        self,
        points: Sequence[str],
        pages: NDArray[np.intp],
        texts: TextScores,
        weights: Hybrid,
        *,
        scale: Scale,
    ) -> None:
        """Prepare the sum.

        Args:
            points: Ids of the points of all pages of the index.
            pages: The pages that are searched, as positions in ``points``.
            texts: BM25 of those of them that have text.
            weights: Weights of the sum.
            scale: Scale of the BM25 scores of all pages, also of those in other indexes.
        """
        self._points: list[str] = list(points)
        self._pages = pages
        self._texts = texts
        self._fusion = Fusion(pages, texts, weights, scale=scale)
        self._places = {points[page]: page for page in pages.tolist()}
        self.count = len(pages)

    def __contains__(self, point: str) -> bool:
        """Whether the page of this point is searched."""
        return point in self._places

    def best(self, count: int) -> list[str]:
        """The points with the best words."""
        matching = np.flatnonzero(self._texts.scores > 0)
        words = self._texts.scores[matching].astype(np.float32)
        found = matching[best_first(words, most=count)]
        return [self._points[page] for page in self._texts.pages[found].tolist()]

    def some(self, count: int, *, without: Collection[str]) -> list[str]:
        """Points that stand for all but these, the same ones each time."""
        chosen = [self._places[point] for point in without if point in self._places]
        rest = np.setdiff1d(self._pages, np.array(chosen, np.intp))
        return [self._points[page] for page in spread_over(rest, count=count).tolist()]

    def scale(self, pictures: Mapping[str, float], others: Mapping[str, float]) -> Scale:
        """The scale of all pages.

        Args:
            pictures: Scores by vectors of some pages, by point.
            others: Scores of pages that stand for all the others.
        """
        known = [score for point, score in pictures.items() if point in self._places]
        rest = [score for point, score in others.items() if point in self._places]
        return Scale.of_parts(_rounded(known), _rounded(rest), stand_for=self.count - len(known))

    def fused(self, pictures: Mapping[str, float], scale: Scale) -> list[tuple[str, float]]:
        """Points with fused scores, best first; points that are not searched are left out.

        Args:
            pictures: Scores by vectors, by point.
            scale: Their scale over all pages.
        """
        known = [point for point in pictures if point in self._places]
        pages = np.array([self._places[point] for point in known], np.intp)
        scores = _rounded(pictures[point] for point in known)
        fused = self._fusion.scores(pages, scores, scale).tolist()
        return sorted(zip(known, fused, strict=True), key=lambda one: (-one[1], one[0]))


def _rounded(scores: Iterable[float]) -> NDArray[np.float64]:
    """Scores of copies of a page are equal when they are rounded."""
    return np.round(np.array(list(scores), np.float64), MAXSIM_DECIMALS)
