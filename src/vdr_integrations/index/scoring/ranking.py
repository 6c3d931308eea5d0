"""From scores to the best pages. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["COSINE_DECIMALS", "MAXSIM_DECIMALS", "best_pages", "contenders"]

COSINE_DECIMALS = 6
"""float32 dot products of unit vectors are good to about 1e-7: finer differences are noise of
the order of summation, and would rank two copies of a page by chance."""
MAXSIM_DECIMALS = 5
"""Sums of some 30 of them are good to about 1e-6, likewise."""


def contenders(scores: NDArray[np.float32] | NDArray[np.float64], *, k: int) -> NDArray[np.intp]:
    """Positions of the ``k`` best scores, of more where the last ones are equal; in no order."""
    if k >= len(scores):
        return np.arange(len(scores))
    kth_best = np.partition(scores, -k)[-k]
    return np.flatnonzero(scores >= kth_best)


def best_pages(
    pages: NDArray[np.intp],
    scores: NDArray[np.float32],
    *,
    k: int,
    decimals: int,
    name: Callable[[int], tuple[str, int]],
) -> list[tuple[int, float]]:
    """The ``k`` best pages, best first, equal ones in the order of source and page number.

    Args:
        pages: Numbers of the pages.
        scores: float32, of these pages.
        k: At most so many.
        decimals: That scores are rounded to.
        name: Source and page number of a page.

    Returns:
        ``(page, score)`` pairs.
    """
    rounded = np.round(scores.astype(np.float64), decimals)
    found = contenders(rounded, k=k)
    # Adding zero turns -0.0 into 0.0.
    named = [(int(pages[one]), float(rounded[one]) + 0.0) for one in found]
    return sorted(named, key=lambda page: (-page[1], *name(page[0])))[:k]
