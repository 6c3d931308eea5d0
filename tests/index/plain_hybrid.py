"""Hybrid search by its definition: all pages, in plain Python."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from tests.index.plain_bm25 import plain_bm25

from vdr_integrations.index import Hybrid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.index.plain_bm25 import Place

__all__ = ["plain_hybrid"]


def plain_hybrid(
    pictures: Mapping[Place, float],
    texts: Mapping[Place, str],
    question: str,
    *,
    weights: Hybrid | None = None,
) -> dict[Place, float]:
    """The scores of the pages that are searched.

    Args:
        pictures: Scores by vectors of the pages that are searched.
        texts: Texts of all pages of the index.
        question: Words without those that say nothing.
        weights: None for the default ones.
    """
    weights = weights or Hybrid()
    everywhere = plain_bm25(texts, question)
    words = _distances({place: one for place, one in everywhere.items() if place in pictures})
    looks = _distances(pictures)
    if not any(words.values()):
        return looks
    return {
        place: look + weights.text_weight * words[place]
        if place in words
        else weights.picture_weight * look
        for place, look in looks.items()
    }


def _distances(scores: Mapping[Place, float]) -> dict[Place, float]:
    """From the mean, in standard deviations."""
    if not scores:
        return {}
    mean = statistics.fmean(scores.values())
    spread = math.sqrt(statistics.fmean((one - mean) ** 2 for one in scores.values()))
    if spread < 1e-5:
        return dict.fromkeys(scores, 0.0)
    return {place: (one - mean) / spread for place, one in scores.items()}
