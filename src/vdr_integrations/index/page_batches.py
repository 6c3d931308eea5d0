"""How pages of any lengths are scored together: in batches of rows, by few threads. Pure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["BATCH_ROWS", "best_sums", "first_rows", "row_batches", "scoring_threads"]

BATCH_ROWS = 6144
"""Multiplied at once: 8 pages of 768 tokens, 3 MB of float32."""
_PAGES_OF_THREAD = 256
"""Fewer pages are not worth waking another thread: threads take turns at Python's lock."""


def row_batches(lengths: Sequence[int], *, most_rows: int = BATCH_ROWS) -> Iterator[slice]:
    """Pages whose rows fit one buffer, one page at least.

    Args:
        lengths: Rows of each page.
        most_rows: Of a batch.
    """
    start = rows = 0
    for position, length in enumerate(lengths):
        if position > start and rows + length > most_rows:
            yield slice(start, position)
            start, rows = position, 0
        rows += length
    if lengths:
        yield slice(start, len(lengths))


def scoring_threads(pages: int) -> int:
    """Threads that share so many pages."""
    return min(os.cpu_count() or 1, max(1, pages // _PAGES_OF_THREAD))


def first_rows(lengths: Sequence[int]) -> NDArray[np.intp]:
    """Where each page begins, of pages that lie one behind the other."""
    return np.cumsum([0, *lengths[:-1]])


def best_sums(products: NDArray[np.float32], lengths: Sequence[int]) -> NDArray[np.float32]:
    """MaxSim of each page: sums over query tokens of the best product with one of its rows.

    Args:
        products: float32 (query tokens, rows of all pages).
        lengths: Rows of each page.

    Returns:
        float32 (pages,); summed in float64, so that the order of a sum cannot be seen.
    """
    best = np.maximum.reduceat(products, first_rows(lengths), axis=1)
    return best.sum(axis=0, dtype=np.float64).astype(np.float32)
