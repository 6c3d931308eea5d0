"""Chooses the words of a question that tell its hits apart. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.retrieval.word_match import strength_of, weights_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.retrieval.heatmap import HeatMap
    from vdr_integrations.retrieval.query_words import QueryWord

__all__ = ["main_words"]

_SHARE_OF_WIDEST = 0.5
_ALIKE = 1e-3
"""Pages whose strengths differ by less are the same page, but for the rounding of vectors."""


def main_words(heat_maps: Sequence[HeatMap]) -> tuple[QueryWord, ...]:
    """The words whose match differs most between pages: at least half as much as the widest.

    Words such as "how" and "and" match all pages about equally, in any language, and stand out
    little from a page; a difference counts less for a word that stands out less.

    Args:
        heat_maps: Of one question, one for each page; at least one.

    Returns:
        In the order of the question. If there is nothing to compare (one page, or pages that are
        all alike), the words that match best; all words if none matches.
    """
    words = heat_maps[0].words
    peaks = np.array([[heat.peak(word) for word in words] for heat in heat_maps], np.float32)
    outstanding = np.array([max(heat.outstanding(word) for heat in heat_maps) for word in words])
    strengths = strength_of(peaks)
    difference = np.ptp(strengths, axis=0)
    if difference.max() < _ALIKE:
        difference = strengths.max(axis=0)
    difference = difference * weights_of(outstanding)
    least = _SHARE_OF_WIDEST * difference.max()
    return tuple(word for word, wide in zip(words, difference, strict=True) if wide >= least)
