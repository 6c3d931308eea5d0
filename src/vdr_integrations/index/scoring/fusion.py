"""Add up the scores of pictures and words. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from numpy.typing import NDArray

    from vdr_integrations.index.hybrid import Hybrid
    from vdr_integrations.index.scoring.bm25 import TextScores

    Scores: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

__all__ = ["FUSED_DECIMALS", "Fusion", "Scale"]

FUSED_DECIMALS = 5
_LEAST_SPREAD = 1e-5
"""Scores by vectors are not exact beyond that: pages that differ less are alike, and their
differences must not be made as large as those of other pages."""
_LEAST_WORDS_SPREAD = 1e-9
"""BM25 is the same number for equal texts; this is the error of the mean."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and standard deviation of the scores of pages that are searched.

    Scales of several indexes are joined to that of all their pages.

    Attributes:
        mean: Their mean; 0 if there are none.
        spread: Their standard deviation.
        count: Number of pages.
    """

    mean: float = 0.0
    spread: float = 1.0
    count: float = 0.0

    @classmethod
    def joined(cls, scales: Iterable[Self]) -> Self:
        """The scale of the pages of all of these."""
        known = [scale for scale in scales if scale.count]
        if len(known) < 2:
            return known[0] if known else cls()
        count = sum(scale.count for scale in known)
        mean = sum(scale.count * scale.mean for scale in known) / count
        squares = (scale.count * (scale.spread**2 + (scale.mean - mean) ** 2) for scale in known)
        return cls(mean, math.sqrt(sum(squares) / count), count)

    @classmethod
    def of_words(cls, texts: TextScores) -> Self:
        """The scale of BM25 scores."""
        words = texts.scores
        if not len(words):
            return cls()
        return cls(float(words.mean()), float(words.std()), len(words))

    @classmethod
    def of(cls, scores: Scores, *, error: float = 0.0) -> Self:
        """The scale of these scores.

        Args:
            scores: Scores of all pages, exact or predicted, float32 or float64 (pages,).
            error: Standard deviation of exact scores from predicted ones.
        """
        return cls.of_parts(scores, np.empty(0, np.float32), stand_for=0, error=error)

    @classmethod
    def of_parts(
        cls,
        chosen: Scores,
        others: Scores,
        *,
        stand_for: int,
        error: float = 0.0,
    ) -> Self:
        """The scale of all pages, when only some of those that were not chosen are scored.

        Args:
            chosen: Scores of all chosen pages, float32 or float64 (chosen pages,).
            others: Scores of some other pages, of the same type (some pages,).
            stand_for: Number of all other pages.
            error: See :meth:`of`.
        """
        scores = np.concatenate([chosen, others]).astype(np.float64)
        if not len(scores):
            return cls()
        shares = np.ones(len(scores))
        shares[len(chosen) :] = stand_for / max(len(others), 1)
        mean = float(np.average(scores, weights=shares))
        variance = float(np.average((scores - mean) ** 2, weights=shares))
        return cls(mean, math.hypot(math.sqrt(variance), error), float(len(chosen) + stand_for))


class Fusion:
    """Fuses the scores of the pages of one search."""

    def __init__(
        self,
        pages: NDArray[np.intp],
        texts: TextScores,
        weights: Hybrid,
        *,
        scale: Scale,
    ) -> None:
        """Prepare the part of the words.

        Args:
            pages: All pages of an index that are searched, ascending.
            texts: BM25 of those of them that have text.
            weights: Weights of the sum.
            scale: Scale of the BM25 scores of all pages that are searched, also in other indexes.
        """
        # Without a word of the question on any page, only pictures count.
        has_words = scale.count > 0 and scale.spread > _LEAST_WORDS_SPREAD
        size = int(pages.max(initial=-1)) + 1
        self._words = np.zeros(size, np.float64)
        self._weight = np.ones(size, np.float64)
        if has_words:
            self._weight[:] = weights.picture_weight
            self._weight[texts.pages] = 1.0
            distances = weights.text_weight * (texts.scores - scale.mean) / scale.spread
            self._words[texts.pages] = distances

    def scores(
        self, pages: NDArray[np.intp], pictures: Scores, scale: Scale
    ) -> NDArray[np.float32]:
        """Fused scores, float32 (pages,).

        Args:
            pages: Pages of the search.
            pictures: Their scores by vectors, float32 or float64 (pages,). Those that decide
                are rounded, or copies of a page would be ranked by chance.
            scale: Scale of all pages' scores by vectors.
        """
        distances = np.zeros(len(pictures))
        if scale.spread > _LEAST_SPREAD:
            distances = (pictures.astype(np.float64) - scale.mean) / scale.spread
        return (self._weight[pages] * distances + self._words[pages]).astype(np.float32)
