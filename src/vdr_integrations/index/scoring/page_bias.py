"""Scores without what a page gets from any question. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["corrected"]


def corrected(
    scores: NDArray[np.float32], biases: NDArray[np.float32], *, weight: float
) -> NDArray[np.float32]:
    """MaxSim minus the weighted bias of each page.

    Args:
        scores: MaxSim of the pages, float32 (pages,).
        biases: Bias of each page, per query token, float32 (pages,).
        weight: How many times it is subtracted, see ``Correction.weight``; 0 changes nothing.

    Returns:
        float32 (pages,).
    """
    if weight == 0.0:
        return scores
    return (scores.astype(np.float64) - weight * biases.astype(np.float64)).astype(np.float32)
