"""Which pages of a folder a search scores, and their exact scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.folder.page_scores import page_scores
from vdr_integrations.index.scoring.candidates import (
    SMALL_INDEX_PAGES,
    first_count,
    most_candidates,
    most_promising,
    outlook,
    sample,
)
from vdr_integrations.index.scoring.page_bias import corrected
from vdr_integrations.index.scoring.ranking import contenders

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.index.engine import MaxSimSearch
    from vdr_integrations.index.folder.dense_scores import DenseScores
    from vdr_integrations.index.folder.first_stage_files import FirstStage
    from vdr_integrations.index.folder.snapshot import Snapshot

__all__ = ["ScoredPages", "scored_pages"]


class ScoredPages:
    """Pages whose exact scores are known.

    Attributes:
        pages: Indices of the snapshot, in the order in which they were added.
        maxsim: Their MaxSim, float32 (pages,).
        scores: MaxSim minus the weighted bias, float32 (pages,).
    """

    def __init__(
        self, snapshot: Snapshot, query: NDArray[np.float32], *, bias_weight: float
    ) -> None:
        """No page is scored yet."""
        self._snapshot = snapshot
        self._query = query
        self._weight = bias_weight
        self.pages = np.empty(0, np.intp)
        self.maxsim = np.empty(0, np.float32)
        self.scores = np.empty(0, np.float32)

    def add(self, pages: NDArray[np.intp]) -> None:
        """Score these pages.

        Raises:
            IndexFormatError: The vectors of a page are not what was written.
        """
        snapshot = self._snapshot
        vectors = snapshot.manifest.settings.compression.vectors
        found = page_scores(snapshot, self._query, pages, vectors=vectors)
        biases = snapshot.places["bias"][pages]
        self.pages = np.concatenate([self.pages, pages])
        self.maxsim = np.concatenate([self.maxsim, found])
        self.scores = np.concatenate([self.scores, corrected(found, biases, weight=self._weight)])

    def kth_best(self, k: int) -> float:
        """The score of the ``k``-th best page; minus infinity if there are fewer pages."""
        return float(np.partition(self.scores, -k)[-k]) if len(self.scores) >= k else -np.inf


def scored_pages(
    snapshot: Snapshot,
    asked: MaxSimSearch,
    pages: NDArray[np.intp],
    *,
    first_stage: FirstStage,
    dense: DenseScores,
) -> ScoredPages:
    """The pages that a search scores: all, those that were asked for, or the most promising ones.

    Args:
        snapshot: The state of the index.
        asked: The search.
        pages: Pages that match its filter, as indices of the snapshot.
        first_stage: The first stage of the index.
        dense: Its dense vectors.

    Raises:
        IndexFormatError: The vectors of a page are not what was written.
    """
    count = asked.candidates
    most = most_candidates(len(snapshot), k=asked.k) if count is None else count
    if asked.dense_query is not None:
        near = dense.scores(snapshot, asked.dense_query, pages)
        pages = pages[contenders(near, k=most)]
    elif not asked.exhaustive and len(pages) > (SMALL_INDEX_PAGES if count is None else 2 * count):
        return _in_two_stages(snapshot, asked, pages, most=most, first_stage=first_stage)
    found = ScoredPages(snapshot, asked.query, bias_weight=asked.bias_weight)
    found.add(pages)
    return found


def _in_two_stages(
    snapshot: Snapshot,
    asked: MaxSimSearch,
    pages: NDArray[np.intp],
    *,
    most: int,
    first_stage: FirstStage,
) -> ScoredPages:
    """Score the most promising pages until no other page is likely to be among the best.

    If the caller gave a number of candidates, exactly this number is scored.
    """
    known, looks, unknown = first_stage.looks(snapshot, asked.query, pages)
    found = ScoredPages(snapshot, asked.query, bias_weight=asked.bias_weight)
    found.add(unknown)
    costs = (asked.bias_weight * snapshot.places["bias"][known]).astype(np.float32)
    step, slope = first_count(asked.k), 0.0
    seen = np.empty(0, np.intp)
    if asked.bias_weight and len(known):
        seen = sample(looks, count=min(step, most))
        found.add(known[seen])
        slope = outlook(looks[seen], found.maxsim[len(unknown) :]).slope
    rest = np.setdiff1d(np.arange(len(known)), seen)
    room = max(most - len(seen), 0)
    order = rest[most_promising(looks[rest], costs[rest], slope=slope, most=room)]
    if asked.candidates is not None:
        found.add(known[order])
        return found
    for start in range(0, len(order), step):
        if start or len(seen):
            scored = np.concatenate([seen, order[:start]])
            line = outlook(looks[scored], found.maxsim[len(unknown) :])
            after = order[start]
            hope = line.best(float(looks[after]), among=len(snapshot)) - float(costs[after])
            if hope < found.kth_best(asked.k):
                break
        found.add(known[order[start : start + step]])
    return found
