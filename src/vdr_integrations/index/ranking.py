"""Exact cosine ranking. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["top_rows"]

_SCORE_DECIMALS = 6
"""float32 dot products of unit vectors are good to about 1e-7: finer differences are noise of
the order of summation, and would rank two copies of a page by chance."""


def top_rows(
    vectors: NDArray[np.float32], query: NDArray[np.float32], *, k: int
) -> list[tuple[int, float]]:
    """The ``k`` rows nearest to ``query``, best first, equal scores in the order of the rows.

    Args:
        vectors: float32 (rows, dimension), L2-normalised.
        query: float32 (dimension,), L2-normalised.
        k: At most this many; at least 1.

    Returns:
        ``(row, cosine)`` pairs; cosines are rounded to 6 decimals.
    """
    scores = np.round(np.clip((vectors @ query).astype(np.float64), -1.0, 1.0), _SCORE_DECIMALS)
    if k < len(scores):
        kth_best = np.partition(scores, -k)[-k]
        candidates = np.flatnonzero(scores >= kth_best)
    else:
        candidates = np.arange(len(scores))
    best = candidates[np.argsort(-scores[candidates], kind="stable")][:k]
    # Adding zero turns -0.0 into 0.0.
    return [(int(row), float(scores[row]) + 0.0) for row in best]
