"""Which places on a page explain its MaxSim score. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vdr_integrations.errors import InvalidVectorError, OptionError
from vdr_integrations.retrieval.query_words import query_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.retrieval.similarity import SimilarityGrids

__all__ = ["Region", "regions_of_words", "relevance", "strongest_regions"]

_SHARE_OF_PEAK = 0.5
"""Cells belong to a region while they reach this share of its hottest cell."""

_NOISE = 2.0
"""Spreads above its median that any token reaches somewhere on a page by chance."""

_AGREEMENT = 0.7
"""Below 1: a cell that all pieces of a word match counts more than one that a single piece does. So
does a word of several pieces: that they match at one place is hardly chance."""

_STANDOUT = 3
"""Above 1: a cell that one word matches well counts more than one that several match a little."""

_BESIDE = 2
"""A cell's neighbours in its line add at most so many times what it says itself."""


class Region(NamedTuple):
    """A box of whole cells.

    Attributes:
        left: Fraction of the page's width, 0 to 1, like the next three of width or height.
        top: From the upper edge.
        right: Greater than ``left``.
        bottom: Greater than ``top``.
        score: Relevance of its hottest cell, see :func:`relevance`; above 0.
    """

    left: float
    top: float
    right: float
    bottom: float
    score: float


def relevance(
    grids: NDArray[np.float32], *, tokens: Sequence[int | Sequence[int]] | None = None
) -> NDArray[np.float32]:
    """How much each cell says for the page, all words of a question together.

    A token of the prompt is about equally similar to every cell, a word of the question to few.
    So of each token only what exceeds its median over the page counts, weighted by how far its
    peak stands out of its own spread; a token that stands out nowhere weighs nothing. A word is
    often wider than a cell, and its pieces match beside each other: what a cell's neighbours in its
    line say is added to what it says itself.

    Args:
        grids: float32 (query tokens, rows, columns), see ``SimilarityGrids``.
        tokens: Only these query tokens, counted from 0; several in a sequence are one word. Each
            by itself when left out.

    Returns:
        float32 (rows, columns), 0 and above, where the words match; it ranks the cells of one page.

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

    From the hottest cell a region grows over its neighbours (the eight around a cell) while they
    reach half of its relevance; the next begins at the hottest cell outside the boxes before it.

    Args:
        grids: float32 (query tokens, rows, columns), see ``SimilarityGrids``.
        count: At most this many, at least 1.
        tokens: As in :func:`relevance`.

    Returns:
        Fewer than ``count`` where nothing else stands out; none on a page that is the same
        everywhere. Boxes may overlap where regions wind around each other.

    Raises:
        OptionError: As :func:`relevance`, or ``count`` below 1.
        InvalidVectorError: NaN or infinity.
    """
    if count < 1:
        raise OptionError(f"count must be at least 1, found {count}.")
    heat = relevance(grids, tokens=tokens)
    rows, columns = heat.shape
    free = heat > 0
    found: list[Region] = []
    while len(found) < count and free.any():
        peak = np.unravel_index(np.argmax(np.where(free, heat, 0)), heat.shape)
        top, left, bottom, right = _grown(
            free & (heat >= _SHARE_OF_PEAK * heat[peak]), (int(peak[0]), int(peak[1]))
        )
        free[top:bottom, left:right] = False
        found.append(
            Region(left / columns, top / rows, right / columns, bottom / rows, float(heat[peak]))
        )
    return found


def regions_of_words(
    grids: SimilarityGrids, *, prompt: str | None = None, count: int = 1
) -> list[Region]:
    """The strongest regions of the words of a question, without its prompt.

    Args:
        grids: Of the question on a page.
        prompt: As in ``query_words``.
        count: At most this many.

    Raises:
        OptionError: ``count`` below 1.
        InvalidVectorError: NaN or infinity.
    """
    words = [word.tokens for word in query_words(grids.tokens, prompt=prompt)]
    return strongest_regions(grids.grids, count=count, tokens=words or None)


def _grown(warm: NDArray[np.bool_], start: tuple[int, int]) -> tuple[int, int, int, int]:
    """Box of the warm cells that hang together with ``start``: top, left, bottom, right."""
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
            f"{getattr(grids, 'shape', type(grids).__name__)}; take those of SimilarityGrids."
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
