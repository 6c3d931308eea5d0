"""Finds the places on a page that explain its MaxSim score. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vdr_integrations.errors import InvalidVectorError, OptionError
from vdr_integrations.retrieval.query_words import query_words
from vdr_integrations.retrieval.word_match import word_match

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.retrieval.similarity import SimilarityGrids

__all__ = ["Region", "regions_of_words", "relevance", "strongest_regions"]

_SHARE_OF_PEAK = 0.5
"""A cell belongs to a region if it reaches this share of the relevance of its hottest cell."""

_NOISE = 2.0
"""Number of spreads above its median that any token reaches somewhere on a page by chance."""

_AGREEMENT = 0.7
"""Exponent below 1: a cell that all tokens of a word match counts more than a cell that only one of
them matches. A word of several tokens counts more too, because that all of them match at one place
is hardly chance."""

_STANDOUT = 3
"""Exponent above 1: a cell that one word matches well counts more than one that several words match
a little."""

_BESIDE = 2
"""The neighbours of a cell in its row add at most this many times its own relevance each."""


class Region(NamedTuple):
    """A box of whole cells.

    Attributes:
        left: Fraction of the page's width, 0 to 1.
        top: Fraction of the page's height, 0 to 1, from the upper edge.
        right: Fraction of the page's width, greater than ``left``.
        bottom: Fraction of the page's height, greater than ``top``.
        score: Relevance of its hottest cell, see :func:`relevance`; above 0. It ranks the regions
            of one page; do not compare it between pages.
        match: How well the word matches that matches best in the box, 0 to 1, see
            ``retrieval/word_match.py``. It has one scale for all pages.
    """

    left: float
    top: float
    right: float
    bottom: float
    score: float
    match: float


def relevance(
    grids: NDArray[np.float32], *, tokens: Sequence[int | Sequence[int]] | None = None
) -> NDArray[np.float32]:
    """How much each cell contributes to a hit, for all words of a question together.

    A token of the prompt is about equally similar to every cell, a word of the question to few.
    So only what exceeds a token's median over the page counts, weighted by how far its peak stands
    out from its own spread; a token that stands out nowhere has the weight 0. A word is often
    wider than a cell, and its tokens match in cells side by side: the neighbours of a cell in its
    row are added to the cell.

    Args:
        grids: float32 (query tokens, rows, columns), see ``SimilarityGrids``.
        tokens: Only these query tokens, counted from 0; a sequence of several is one word. None
            uses all tokens, each as a word.

    Returns:
        float32 (rows, columns), at least 0; compare it only between cells of one page.

    Raises:
        OptionError: Another shape, no tokens, or tokens that are not in ``grids``.
        InvalidVectorError: NaN or infinity.
    """
    words = _chosen(grids, tokens)
    heats = np.stack([_relevance_of_word(grids[word].astype(np.float64)) for word in words])
    return ((heats**_STANDOUT).sum(axis=0) ** (1 / _STANDOUT)).astype(np.float32)


def _relevance_of_word(pieces: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = pieces.reshape(len(pieces), -1)
    deviation = flat - np.median(flat, axis=1, keepdims=True)
    # Half of all cells deviate less than this, however hot the few that match are.
    spread = 1.4826 * np.median(np.abs(deviation), axis=1, keepdims=True)
    peak = deviation.max(axis=1, keepdims=True)
    weight = np.clip(1 - _NOISE * spread / np.maximum(peak, np.finfo(np.float32).tiny), 0, 1)
    agreed = (weight * np.maximum(deviation, 0) ** _AGREEMENT).sum(axis=0)
    own = agreed.reshape(pieces.shape[1:])
    beside = np.pad(own, ((0, 0), (1, 1)))
    most = _BESIDE * own
    joined = own + np.minimum(most, beside[:, :-2]) + np.minimum(most, beside[:, 2:])
    return joined ** (1 / _AGREEMENT)


def strongest_regions(
    grids: NDArray[np.float32],
    *,
    count: int = 1,
    tokens: Sequence[int | Sequence[int]] | None = None,
) -> list[Region]:
    """Boxes around the cells that explain a page's score, strongest first.

    A region starts at the hottest cell and adds neighbours (the eight around a cell) that have at
    least half of its relevance; the next region starts at the hottest cell outside earlier boxes.

    Args:
        grids: float32 (query tokens, rows, columns), see ``SimilarityGrids``.
        count: Maximum number of regions, at least 1.
        tokens: As in :func:`relevance`.

    Returns:
        Fewer than ``count`` if nothing else stands out; empty for a page that is the same
        everywhere. Boxes may overlap.

    Raises:
        OptionError: See :func:`relevance`; or ``count`` is below 1.
        InvalidVectorError: NaN or infinity.
    """
    if count < 1:
        raise OptionError(f"count must be at least 1, found {count}.")
    heat = relevance(grids, tokens=tokens)
    matches = np.stack([word_match(grids, word) for word in _chosen(grids, tokens)]).max(axis=0)
    rows, columns = heat.shape
    free = heat > 0
    found: list[Region] = []
    while len(found) < count and free.any():
        peak = np.unravel_index(np.argmax(np.where(free, heat, 0)), heat.shape)
        top, left, bottom, right = _grown(
            free & (heat >= _SHARE_OF_PEAK * heat[peak]), (int(peak[0]), int(peak[1]))
        )
        free[top:bottom, left:right] = False
        sides = (left / columns, top / rows, right / columns, bottom / rows)
        match = float(matches[top:bottom, left:right].max())
        found.append(Region(*sides, score=float(heat[peak]), match=match))
    return found


def regions_of_words(
    grids: SimilarityGrids, *, prompt: str | None = None, count: int = 1
) -> list[Region]:
    """The strongest regions of the words of a question, without its prompt.

    Args:
        grids: Similarity grids of the question on a page.
        prompt: As in ``query_words``.
        count: Maximum number of regions.

    Raises:
        OptionError: ``count`` below 1.
        InvalidVectorError: NaN or infinity.
    """
    words = [word.tokens for word in query_words(grids.tokens, prompt=prompt)]
    return strongest_regions(grids.grids, count=count, tokens=words or None)


def _grown(warm: NDArray[np.bool_], start: tuple[int, int]) -> tuple[int, int, int, int]:
    """Box of the warm cells that are connected with ``start``: top, left, bottom, right."""
    rows, columns = warm.shape
    seen, waiting = {start}, [start]
    while waiting:
        row, column = waiting.pop()
        for r in range(max(0, row - 1), min(rows, row + 2)):
            for c in range(max(0, column - 1), min(columns, column + 2)):
                if warm[r, c] and (r, c) not in seen:
                    seen.add((r, c))
                    waiting.append((r, c))
    down, across = zip(*seen, strict=True)
    return min(down), min(across), max(down) + 1, max(across) + 1


def _chosen(
    grids: NDArray[np.float32], tokens: Sequence[int | Sequence[int]] | None
) -> list[list[int]]:
    if not isinstance(grids, np.ndarray) or grids.ndim != 3 or 0 in grids.shape:  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
        raise OptionError(
            f"grids must be a numpy array of (query tokens, rows, columns), none of them 0, found "
            f"{getattr(grids, 'shape', type(grids).__name__)}; use those of SimilarityGrids."
        )
    if not np.isfinite(grids).all():
        raise InvalidVectorError(
            "the similarity grids hold NaN or infinity; encode the page again."
        )
    if tokens is None:
        return [[token] for token in range(len(grids))]
    words = [
        [int(word)] if isinstance(word, (int, np.integer)) else [int(token) for token in word]
        for word in tokens
    ]
    wrong = [token for word in words for token in word if not 0 <= token < len(grids)]
    if wrong or not words or not all(words):
        raise OptionError(
            f"tokens must name query tokens from 0 to {len(grids) - 1}, found {wrong or 'none'}."
        )
    return words
