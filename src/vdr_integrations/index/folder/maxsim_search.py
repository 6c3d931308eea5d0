"""Which pages of a folder a search scores, and their exact scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.folder.page_scores import page_scores
from vdr_integrations.index.scoring.candidates import (
    SMALL_INDEX_PAGES,
    first_count,
    most_candidates,
    outlook,
    sample,
    sample_shares,
    spread_over,
)
from vdr_integrations.index.scoring.fusion import PictureScale
from vdr_integrations.index.scoring.page_bias import corrected
from vdr_integrations.index.scoring.ranking import (
    MAXSIM_DECIMALS,
    best_first,
    contenders,
    kth_best,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.index.engine import MaxSimSearch
    from vdr_integrations.index.folder.dense_scores import DenseScores
    from vdr_integrations.index.folder.first_stage_files import FirstStage
    from vdr_integrations.index.folder.snapshot import Snapshot
    from vdr_integrations.index.scoring.fusion import Fusion

__all__ = ["ScoredPages", "scored_pages"]

_SCALE_SAMPLES = 1.5
"""A hybrid search needs the scale of all pages, and more samples tell it better."""


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

    def rounded(self) -> NDArray[np.float64]:
        """The scores as hits show them: float64 (pages,)."""
        return np.round(self.scores.astype(np.float64), MAXSIM_DECIMALS)

    def fuse(self, fusion: Fusion, scale: PictureScale) -> None:
        """Let the words count too; no page can be added after that."""
        self.scores = fusion.scores(self.pages, self.rounded(), scale)


def scored_pages(
    snapshot: Snapshot,
    asked: MaxSimSearch,
    pages: NDArray[np.intp],
    *,
    first_stage: FirstStage,
    dense: DenseScores,
    fusion: Fusion | None,
) -> ScoredPages:
    """The pages that a search scores: all, those that were asked for, or the most promising ones.

    Args:
        snapshot: The state of the index.
        asked: The search.
        pages: Pages that match its filter, as indices of the snapshot.
        first_stage: The first stage of the index.
        dense: Its dense vectors.
        fusion: The words of the question, if they count too.

    Raises:
        IndexFormatError: The vectors of a page are not what was written.
    """
    count = asked.candidates
    most = most_candidates(len(snapshot), k=asked.k) if count is None else count
    found = ScoredPages(snapshot, asked.query, bias_weight=asked.bias_weight)
    if asked.dense_query is not None:
        near = dense.scores(snapshot, asked.dense_query, pages)
        if fusion is not None:
            # Only so can the words bring pages that the dense vectors do not.
            near = fusion.scores(pages, near, PictureScale.of(near))
        chosen = pages[contenders(near, k=most)]
        if fusion is None:
            found.add(chosen)
            return found
        rest = np.setdiff1d(pages, chosen)
        found.add(chosen)
        found.add(spread_over(rest, count=first_count(asked.k)))
        best, others = np.split(found.rounded(), [len(chosen)])
        found.fuse(fusion, PictureScale.of_parts(best, others, stand_for=len(rest)))
        return found
    if not asked.exhaustive and len(pages) > (SMALL_INDEX_PAGES if count is None else 2 * count):
        return _in_two_stages(
            snapshot, asked, pages, most=most, first_stage=first_stage, fusion=fusion
        )
    found.add(pages)
    if fusion is not None:
        found.fuse(fusion, PictureScale.of(found.rounded()))
    return found


def _in_two_stages(
    snapshot: Snapshot,
    asked: MaxSimSearch,
    pages: NDArray[np.intp],
    *,
    most: int,
    first_stage: FirstStage,
    fusion: Fusion | None,
) -> ScoredPages:
    """Score the most promising pages until no other page is likely to be among the best.

    If the caller gave a number of candidates, exactly this number is scored.
    """
    known, looks, unknown = first_stage.looks(snapshot, asked.query, pages)
    found = ScoredPages(snapshot, asked.query, bias_weight=asked.bias_weight)
    found.add(unknown)
    costs = (asked.bias_weight * snapshot.places["bias"][known]).astype(np.float32)
    step = first_count(asked.k)
    promise = looks
    seen = np.empty(0, np.intp)
    scale = PictureScale(0.0, 1.0)
    if len(known) and (asked.bias_weight or fusion is not None):
        count = step if fusion is None else round(_SCALE_SAMPLES * step)
        # Of few candidates, half are left to be selected.
        seen = sample(looks, count=max(min(count, most // 2), 1))
        found.add(known[seen])
        line = outlook(looks[seen], found.maxsim[len(unknown) :])
        promise = line.predicted(looks) - costs
        if fusion is not None:
            shares = sample_shares(len(looks), sampled=len(seen))
            every = outlook(looks[seen], found.maxsim[len(unknown) :], shares=shares)
            pictures = every.predicted(looks) - costs
            scale = PictureScale.of(
                np.concatenate([pictures, found.scores[: len(unknown)]]), error=every.spread
            )
            # Pages without text have a larger weight, so more can come of what is not known.
            promise = fusion.scores(known, promise + np.float32(every.spread), scale)
    is_left = np.ones(len(known), np.bool_)
    is_left[seen] = False
    rest = np.flatnonzero(is_left)
    order = rest[best_first(promise[rest], most=max(most - len(seen), 0))]

    def worth(positions: NDArray[np.intp], pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """What counts in the end: scores by vectors, or with words."""
        return pictures if fusion is None else fusion.scores(positions, pictures, scale)

    if asked.candidates is not None:
        found.add(known[order])
    else:
        for start in range(0, len(order), step):
            if start or len(seen):
                scored = np.concatenate([seen, order[:start]])
                line = outlook(looks[scored], found.maxsim[len(unknown) :])
                after = order[start : start + 1]
                best = line.best(float(looks[after[0]]), among=len(snapshot))
                hope = worth(known[after], np.float32(best) - costs[after])
                if hope[0] < kth_best(worth(found.pages, found.scores), k=asked.k):
                    break
            found.add(known[order[start : start + step]])
    if fusion is not None:
        found.fuse(fusion, scale if len(known) else PictureScale.of(found.rounded()))
    return found
