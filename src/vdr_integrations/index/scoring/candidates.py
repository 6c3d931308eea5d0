"""How many pages of the first stage of a search are scored exactly by the second. Pure.

The second stage scores pages exactly, the most promising ones first. It stops when the next page is
unlikely to be among the best. It learns from the pages scored so far how exact scores depend on the
scores of the first stage, and how much they deviate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "SMALL_INDEX_PAGES",
    "Outlook",
    "first_count",
    "most_candidates",
    "outlook",
    "sample",
    "sample_shares",
    "spread_over",
]

SMALL_INDEX_PAGES = 800
"""In an index of up to this many pages, all are compared: that takes about as long."""
_FIRST = 64
_MOST = 1000
_GROWS_FROM = 10_000
_GROWTH = 0.66
_SOME_SLOPE = 1e-6
_DEVIATIONS = 3.0
"""On 1,788 real pages and 153 questions, this finds 98.5 % of the ten best pages with 356
candidates; a fixed number of 400 found 97.6 % (``benchmarks/late_index.py`` prints it)."""
_DEVIATIONS_A_DECADE = 0.2
_DEVIATIONS_FROM = 2000
"""Among ten times as many pages, some deviate more. With this addition, 96 % of the best of 100,000
synthetic pages are found; without it, 93.5 %."""


def first_count(k: int) -> int:
    """Number of pages that are always scored exactly, in one step, for ``k`` hits."""
    return max(_FIRST, 3 * k)


def most_candidates(pages: int, *, k: int) -> int:
    """Maximum number of pages that are scored exactly in an index of ``pages`` pages.

    The number that keeps the ten best pages grows with about ``pages`` to the power of 0.66.
    """
    return max(round(_MOST * _growth(pages)), 30 * k)


def _growth(pages: int) -> float:
    return max(1.0, pages / _GROWS_FROM) ** _GROWTH


def sample(looks: NDArray[np.float32], *, count: int) -> NDArray[np.intp]:
    """Pages from which to learn how exact scores depend on those of the first stage.

    Half of them are the best of the first stage. The others are spread over all of its ranks, since
    the best ones alone do not show the slope.

    Args:
        looks: Scores of the first stage, float32 (pages,).
        count: Number of pages.

    Returns:
        Positions in ``looks``, at most ``count``.
    """
    order = np.argsort(-looks, kind="stable")
    best, rest = np.split(order, [count // 2])
    return np.concatenate([best, spread_over(rest, count=count - len(best))])


def sample_shares(pages: int, *, sampled: int) -> NDArray[np.float64]:
    """How many pages each page of a :func:`sample` stands for: the best ones for themselves.

    Args:
        pages: Number of all pages.
        sampled: Number of pages of the sample.

    Returns:
        float64 (sampled,).
    """
    shares = np.ones(sampled)
    best = sampled // 2
    shares[best:] = (pages - best) / max(sampled - best, 1)
    return shares


def spread_over(items: NDArray[np.intp], *, count: int) -> NDArray[np.intp]:
    """At most ``count`` of these, at equal distances, the first and the last among them."""
    if len(items) <= count:
        return items
    places = np.linspace(0, len(items) - 1, count).round().astype(np.intp)
    return items[np.unique(places)]


@dataclass(frozen=True, slots=True)
class Outlook:
    """A line that predicts exact scores from scores of the first stage.

    Attributes:
        slope: Slope of the line.
        height: Value of the line at zero.
        spread: Standard deviation of exact scores from the line.
    """

    slope: float
    height: float
    spread: float

    def predicted(self, looks: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the line says of scores of the first stage: float32, as many as ``looks``.

        If the first stage is of no use, its order stays.
        """
        slope = self.slope if self.slope > 0.0 else _SOME_SLOPE
        return (slope * looks.astype(np.float64) + self.height).astype(np.float32)

    def best(self, first_stage_score: float, *, among: int) -> float:
        """The highest exact score that is likely for a page.

        Args:
            first_stage_score: First-stage score of the page.
            among: Number of pages of the index.
        """
        decades = math.log10(max(1.0, among / _DEVIATIONS_FROM))
        deviations = _DEVIATIONS + _DEVIATIONS_A_DECADE * decades
        return self.slope * first_stage_score + self.height + deviations * self.spread


def outlook(
    rough: NDArray[np.float32],
    exact: NDArray[np.float32],
    *,
    shares: NDArray[np.float64] | None = None,
) -> Outlook:
    """Fit the line to the pages scored so far.

    Args:
        rough: Scores of the first stage, float32 (pages,).
        exact: Scores of the second stage, float32 (pages,).
        shares: How many pages each of them stands for, float64 (pages,); None: all the same.
    """
    wide, scores = rough.astype(np.float64), exact.astype(np.float64)
    centre, mean = (
        float(np.average(wide, weights=shares)),
        float(np.average(scores, weights=shares)),
    )
    away, off = wide - centre, scores - mean
    variance = float(np.average(away**2, weights=shares))
    # A slope below zero means that the first stage is of no use here.
    slope = 0.0
    if variance:
        slope = max(0.0, float(np.average(away * off, weights=shares)) / variance)
    spread = math.sqrt(float(np.average((off - slope * away) ** 2, weights=shares)))
    return Outlook(slope, mean - slope * centre, spread)
