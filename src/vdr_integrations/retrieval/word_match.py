"""How well a word of a question matches each place of a page, on one scale for all pages.

The scale depends neither on the page nor on other hits, so that a page without the words looks
pale. ``docs/pictures.md`` says how it was measured. Pure arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["CLEAR_MATCH", "FULL_MATCH", "strength_of", "weights_of", "word_match"]

FULL_MATCH = 0.6
"""The match from which colours and bars are full: ``nano-colqwen2`` gives it to the clearest tenth
of the printed words."""

CLEAR_MATCH = 0.42
"""A word matches a page clearly from here on. With ``nano-colqwen2``, 3 in 4 printed words do, and
1 in 100 of the words that a page does not have."""

_REACH = 4
"""In large print, the pieces of a word are as many cells apart."""


def word_match(grids: NDArray[np.float32], tokens: Sequence[int]) -> NDArray[np.float32]:
    """How well a word matches each cell: 0 as the page in general, 1 a perfect match.

    A similarity counts from the token's median over the page (or from 0 if that is lower) up to 1,
    the similarity of a vector to itself. The pieces of a word are in one row: each counts with its
    best cell within 4 cells to the left and right. The match is their mean, so that a page which
    has one piece of a word does not match the word; and it is at most what a piece gives to the
    cell itself, so that cells beside a word do not match.

    Args:
        grids: float32 (query tokens, rows, columns), cosines, all finite.
        tokens: The query tokens of one word, counted from 0; at least one.

    Returns:
        float32 (rows, columns), 0 to 1, comparable between pages and questions of one model.
    """
    pieces = grids[list(tokens)].astype(np.float64)
    usual = np.maximum(np.median(pieces, axis=(1, 2), keepdims=True), 0)
    room = np.maximum(1 - usual, np.finfo(np.float32).tiny)
    each = np.clip((pieces - usual) / room, 0, 1)
    around = np.pad(each, ((0, 0), (0, 0), (_REACH, _REACH)))
    best = sliding_window_view(around, 2 * _REACH + 1, axis=2).max(axis=-1)
    return np.minimum(best.mean(axis=0), each.max(axis=0)).astype(np.float32)


def strength_of(match: NDArray[np.float32]) -> NDArray[np.float32]:
    """How strong a match is drawn, as a colour or a bar: 0 to 1.

    It grows with the square, so that what most words reach by chance on any page stays pale.
    """
    return np.minimum(match / FULL_MATCH, 1) ** 2


def weights_of(outstanding: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each of several words counts beside the others: 1 for the most outstanding.

    Args:
        outstanding: How far each word stands out: the highest relevance of a cell, at least 0.

    Returns:
        The square root of its share of the highest; 0 for all if no word stands out.
    """
    most = outstanding.max()
    return np.sqrt(outstanding / most) if most > 0 else np.zeros_like(outstanding)
