"""Which pages the first stage of a search hands to the second, and how many. Pure.

The second stage works pages out exactly, the most promising ones first, and stops when what comes
next is unlikely to be among the best: from the pages seen so far it learns how exact scores follow
from those of the first stage, and how far they stray.
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
]

SMALL_INDEX_PAGES = 800
"""Where there are no more, all are compared: it takes about as long."""
_FIRST = 64
_MOST = 1000
_GROWS_FROM = 10_000
_GROWTH = 0.66
_DEVIATIONS = 3.0
"""On 1,788 real pages and 153 questions: 98.5 % of the ten best pages with 356 candidates;
a fixed number of 400 kept 97.6 % (``benchmarks/late_index.py`` prints it)."""
_DEVIATIONS_A_DECADE = 0.2
_DEVIATIONS_FROM = 2000
"""Of ten times as many pages, one strays further: 100,000 synthetic pages keep 96 % so, and
93.5 % without."""


def first_count(k: int) -> int:
    """Pages that are always worked out, and at once, where ``k`` hits are wanted."""
    return max(_FIRST, 3 * k)


def most_candidates(pages: int, *, k: int) -> int:
    """Pages that are worked out at most, of an index of ``pages`` pages.

    What keeps the ten best grows with about ``pages`` to the power of 0.66.
    """
    return max(round(_MOST * _growth(pages)), 30 * k)


def _growth(pages: int) -> float:
    return max(1.0, pages / _GROWS_FROM) ** _GROWTH


@dataclass(frozen=True, slots=True)
class Outlook:
    """What pages are worth expecting of.

    Attributes:
        slope: Of exact scores over those of the first stage.
        height: At zero.
        spread: How far exact scores are from that, as a standard deviation.
    """

    slope: float
    height: float
    spread: float

    def best(self, first_stage_score: float, *, among: int) -> float:
        """The exact score that a page may well reach.

        Args:
            first_stage_score: Of the page.
            among: How many pages there are.
        """
        decades = math.log10(max(1.0, among / _DEVIATIONS_FROM))
        deviations = _DEVIATIONS + _DEVIATIONS_A_DECADE * decades
        return self.slope * first_stage_score + self.height + deviations * self.spread


def outlook(rough: NDArray[np.float32], exact: NDArray[np.float32]) -> Outlook:
    """What the pages seen so far say of others.

    Args:
        rough: float32 (pages,), of the first stage.
        exact: float32 (pages,), of the second.
    """
    wide, scores = rough.astype(np.float64), exact.astype(np.float64)
    spread = float(wide.std())
    if spread == 0.0:
        return Outlook(0.0, float(scores.mean()), float(scores.std()))
    # A slope below zero says that the first stage tells nothing here.
    slope = max(0.0, float(((wide - wide.mean()) * (scores - scores.mean())).mean()) / spread**2)
    height = float(scores.mean() - slope * wide.mean())
    return Outlook(slope, height, float((scores - slope * wide - height).std()))
