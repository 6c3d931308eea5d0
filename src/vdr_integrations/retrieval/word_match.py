"""How well a word of a question matches each place of a page, on one scale for all pages.

The scale depends neither on the page nor on other hits, so that a page without the words looks
pale. ``docs/pictures.md`` says how it was measured. Pure arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["CLEAR_MATCH", "FULL_MATCH", "strength_of", "word_match"]

FULL_MATCH = 0.6
"""The match from which colours and bars are full: ``nano-colqwen2`` gives it to the clearest tenth
of the printed words."""

CLEAR_MATCH = 0.42
"""A word matches a page clearly from here on. With ``nano-colqwen2``, 3 in 4 printed words do, and
1 in 200 of the words that a page does not have."""

_SHARE_OF_OWN = 2
"""A cell counts its neighbours, but has at most this many times what its own tokens give."""


def word_match(grids: NDArray[np.float32], tokens: Sequence[int]) -> NDArray[np.float32]:
    """How well a word matches each cell: 0 as the page in general, 1 a perfect match.

    A similarity counts from the token's median over the page (or from 0 if that is lower) up to 1,
    the similarity of a vector to itself. The pieces of a word match in cells side by side: each
    counts with the best of a cell and the cells to its left and right. The match is their mean, so
    that a page which has one piece of a word does not match the word.

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
    beside = np.pad(each, ((0, 0), (0, 0), (1, 1)))
    best = np.maximum(each, np.maximum(beside[:, :, :-2], beside[:, :, 2:]))
    own = _SHARE_OF_OWN * each.mean(axis=0)
    return np.minimum(best.mean(axis=0), own).astype(np.float32)


def strength_of(match: NDArray[np.float32]) -> NDArray[np.float32]:
    """How strong a match is drawn, as a colour or a bar: 0 to 1.

    It grows with the square, so that what most words reach by chance on any page stays pale.
    """
    return np.minimum(match / FULL_MATCH, 1) ** 2
