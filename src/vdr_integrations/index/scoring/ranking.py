"""Select the best pages by their scores. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "COSINE_DECIMALS",
    "MAXSIM_DECIMALS",
    "best_first",
    "best_pages",
    "contenders",
    "kth_best",
]

COSINE_DECIMALS = 6
"""float32 dot products of unit vectors are exact to about 1e-7. Smaller differences come from the
order of addition, and would rank two copies of a page by chance."""
MAXSIM_DECIMALS = 5
"""Sums of about 30 of these products are exact to about 1e-6."""


def contenders(scores: NDArray[np.float32] | NDArray[np.float64], *, k: int) -> NDArray[np.intp]:
    """Positions of the ``k`` best scores, unsorted; more than ``k`` if the last ones are equal."""
    if k >= len(scores):
        return np.arange(len(scores))
    kth_best = np.partition(scores, -k)[-k]
    return np.flatnonzero(scores >= kth_best)


def best_first(scores: NDArray[np.float32], *, most: int) -> NDArray[np.intp]:
    """Positions of the ``most`` best scores, best first; equal ones in order."""
    found = contenders(scores, k=most) if most else np.empty(0, np.intp)
    return found[np.argsort(-scores[found], kind="stable")][:most]


def kth_best(scores: NDArray[np.float32], *, k: int) -> float:
    """The ``k``-th best score; minus infinity if there are fewer."""
    return float(np.partition(scores, -k)[-k]) if len(scores) >= k else -np.inf


def best_pages(
    pages: NDArray[np.intp],
    scores: NDArray[np.float32] | NDArray[np.float64],
    *,
    k: int,
    decimals: int,
    name: Callable[[int], tuple[str, int]],
) -> list[tuple[int, float]]:
    """The ``k`` best pages, best first; equal ones are sorted by source and page number.

    Args:
        pages: Numbers of the pages.
        scores: Scores of these pages, float32 or float64.
        k: Maximum number of pages.
        decimals: Number of decimals to which scores are rounded.
        name: Returns source and page number of a page.

    Returns:
        ``(page, score)`` pairs.
    """
    rounded = np.round(scores.astype(np.float64), decimals)
    found = contenders(rounded, k=k)
    # Adding zero turns -0.0 into 0.0.
    named = [(int(pages[one]), float(rounded[one]) + 0.0) for one in found]
    return sorted(named, key=lambda page: (-page[1], *name(page[0])))[:k]
