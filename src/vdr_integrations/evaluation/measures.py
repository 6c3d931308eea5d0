"""Retrieval measures of one ranking; pages with equal scores share their ranks. Pure arithmetic.

A ranking with equal scores stands for all orders of the equal pages, each equally likely, and a
measure is its expected value. So an engine that gives 0 to every page of a scan gets what chance
gives, whatever the order of the pages is. NDCG, recall and MRR without equal scores are those of
trec_eval (the tests compare them): the gain of a page is its grade, and the ideal of NDCG@k holds
the k best of all relevant pages.
"""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MEASURES", "first_relevant_rank", "measures_of"]

MEASURES = ("ndcg@5", "ndcg@10", "recall@1", "recall@5", "recall@10", "hit@1", "mrr")
"""Names of the measures, in the order of :func:`measures_of`."""


def measures_of(
    scores: NDArray[np.floating], grades: NDArray[np.integer], *, relevant: NDArray[np.integer]
) -> NDArray[np.float64]:
    """The measures of one ranking.

    Args:
        scores: (pages,), best first; equal scores in any order.
        grades: (pages,): the grade of each ranked page, 0 if it is not relevant.
        relevant: Grades of all relevant pages, ranked or not; at least one.

    Returns:
        float64 (measures,), each 0 to 1, in the order of :data:`MEASURES`.
    """
    groups = _groups(scores)
    gains = _shared(grades.astype(np.float64), groups)
    hits = _shared((grades > 0).astype(np.float64), groups)
    found = np.cumsum(hits)
    return np.array(
        [
            _ndcg(gains, relevant, 5),
            _ndcg(gains, relevant, 10),
            *(_at(found, k) / len(relevant) for k in (1, 5, 10)),
            _at(hits, 1),
            _reciprocal_rank(grades, groups),
        ]
    )


def first_relevant_rank(scores: NDArray[np.floating], grades: NDArray[np.integer]) -> float | None:
    """Expected rank, from 1, of the first relevant page; None if no relevant page is ranked."""
    for start, stop in _groups(scores):
        relevant = int((grades[start:stop] > 0).sum())
        if relevant:
            return start + (stop - start + 1) / (relevant + 1)
    return None


def _groups(scores: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Where runs of equal scores begin and end."""
    if not len(scores):
        return []
    starts = np.flatnonzero(np.diff(scores, prepend=np.nan) != 0)
    return list(zip(starts.tolist(), [*starts[1:].tolist(), len(scores)], strict=True))


def _shared(values: NDArray[np.float64], groups: list[tuple[int, int]]) -> NDArray[np.float64]:
    """Each value is replaced by the mean of its group: what is expected at each of its ranks."""
    shared = np.empty_like(values)
    for start, stop in groups:
        shared[start:stop] = values[start:stop].mean()
    return shared


def _ndcg(gains: NDArray[np.float64], relevant: NDArray[np.integer], k: int) -> float:
    ideal = np.sort(relevant)[::-1][:k]
    return float(gains[:k] @ _discounts(len(gains[:k])) / (ideal @ _discounts(len(ideal))))


def _discounts(count: int) -> NDArray[np.float64]:
    return 1 / np.log2(np.arange(2, count + 2))


def _at(values: NDArray[np.float64], k: int) -> float:
    return float(values[:k][-1]) if len(values) else 0.0


def _reciprocal_rank(grades: NDArray[np.integer], groups: list[tuple[int, int]]) -> float:
    """The mean over the places that the first relevant page of its group may have."""
    for start, stop in groups:
        size, relevant = stop - start, int((grades[start:stop] > 0).sum())
        if relevant:
            places = range(size - relevant + 1)
            ways = [comb(size - 1 - place, relevant - 1) for place in places]
            expected = sum(
                way / (start + 1 + place) for place, way in zip(places, ways, strict=True)
            )
            return expected / comb(size, relevant)
    return 0.0
