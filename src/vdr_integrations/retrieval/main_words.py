"""Chooses the words of a question that tell its hits apart. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.retrieval.word_match import strength_of, weights_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.retrieval.matched_words import MatchedWords
    from vdr_integrations.retrieval.query_words import QueryWord

__all__ = ["main_words"]

_SHARE_OF_WIDEST = 0.5
_ALIKE = 1e-3
"""Pages whose strengths differ by less are the same page, but for the rounding of vectors."""


def main_words(pages: Sequence[MatchedWords]) -> tuple[QueryWord, ...]:
    """The words whose match differs most between pages: at least half as much as the widest.

    Words such as "how" and "and" match all pages about equally, in any language, and stand out
    little from a page; a difference counts less for a word that stands out less.

    Args:
        pages: Those of one question on each page, such as its heat maps; at least one.

    Returns:
        In the order of the question. If there is nothing to compare (one page, or pages that are
        all alike), the words that match best; all words if none matches.
    """
    words = pages[0].words
    peaks = np.array([[page.peak(word) for word in words] for page in pages], np.float32)
    outstanding = np.array([max(page.outstanding(word) for page in pages) for word in words])
    strengths = strength_of(peaks)
    difference = np.ptp(strengths, axis=0)
    if difference.max() < _ALIKE:
        difference = strengths.max(axis=0)
    difference = difference * weights_of(outstanding)
    least = _SHARE_OF_WIDEST * difference.max()
    return tuple(word for word, wide in zip(words, difference, strict=True) if wide >= least)
