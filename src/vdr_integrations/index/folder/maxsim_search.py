"""Which pages of a folder a search scores, and their exact scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.folder.fused_steps import FusedSteps
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
from vdr_integrations.index.scoring.fusion import Scale
from vdr_integrations.index.scoring.page_bias import corrected
from vdr_integrations.index.scoring.ranking import (
    COSINE_DECIMALS,
    MAXSIM_DECIMALS,
    best_first,
    contenders,
    kth_best,
)

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from vdr_integrations.index.folder.dense_scores import DenseScores
    from vdr_integrations.index.folder.first_stage_files import FirstStage
    from vdr_integrations.index.folder.fused_steps import FindWords
    from vdr_integrations.index.folder.snapshot import Snapshot
    from vdr_integrations.index.scoring.fusion import Fusion
    from vdr_integrations.index.search_steps import MaxSimSearch

    Worth: TypeAlias = NDArray[np.float32]

__all__ = ["MaxSimSteps", "ScoredPages"]

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

    def fuse(self, fusion: Fusion, scale: Scale) -> None:
        """Let the words count too; no page can be added after that."""
        self.scores = fusion.scores(self.pages, self.rounded(), scale)


class MaxSimSteps(FusedSteps):
    """A search by token vectors; see ``VectorSearchSteps``.

    It scores all pages, those that dense vectors select, or the most promising ones.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        asked: MaxSimSearch,
        pages: NDArray[np.intp],
        *,
        first_stage: FirstStage,
        dense: DenseScores,
        words: FindWords,
        among: int | None,
    ) -> None:
        """Score nothing yet.

        Args:
            snapshot: The state of the index.
            asked: The search.
            pages: Pages that match its filter, as indices of the snapshot.
            first_stage: The first stage of the index.
            dense: Its dense vectors.
            words: Finds the words of a text.
            among: Number of pages that are searched, with those of other indexes; None: no others.
        """
        super().__init__(pages, asked.hybrid, words)
        self._snapshot, self._asked = snapshot, asked
        self._first_stage, self._dense = first_stage, dense
        self._among = len(snapshot) if among is None else among
        self._found = ScoredPages(snapshot, asked.query, bias_weight=asked.bias_weight)
        self._near: NDArray[np.float32] | None = None
        self._chosen: NDArray[np.intp] | None = None
        self._stages: TwoStages | None = None
        self._has_begun = False

    def recall_scale(self) -> Scale:
        """See ``VectorSearchSteps``."""
        return Scale.of(self._dense_scores())

    def recalled(self, scale: Scale, *, most: int) -> NDArray[np.float32]:
        """See ``VectorSearchSteps``."""
        near = self._promise(scale)
        return near[contenders(near, k=most)]

    def choose(self, scale: Scale, *, most: int, least: float) -> None:
        """See ``VectorSearchSteps``."""
        near = self._promise(scale)
        chosen = contenders(near, k=most)
        self._chosen = self.pages[chosen[near[chosen] >= least]]

    def picture_scale(self) -> Scale:
        """See ``VectorSearchSteps``.

        Raises:
            IndexFormatError: The vectors of a page are not what was written.
        """
        self._has_begun = True
        found, chosen = self._found, self._chosen
        if chosen is not None:
            found.add(chosen)
            if self.fusion is None:
                return Scale()
            rest = np.setdiff1d(self.pages, chosen)
            found.add(spread_over(rest, count=first_count(self._asked.k)))
            best, others = np.split(found.rounded(), [len(chosen)])
            return Scale.of_parts(best, others, stand_for=len(rest))
        count = self._asked.candidates
        few = SMALL_INDEX_PAGES if count is None else 2 * count
        if not self._asked.exhaustive and len(self.pages) > few:
            self._stages = TwoStages(
                self._snapshot,
                self._asked,
                self.pages,
                found,
                first_stage=self._first_stage,
                among=self._among,
            )
            return self._stages.scale
        found.add(self.pages)
        return Scale() if self.fusion is None else Scale.of(found.rounded())

    def scored(self, pictures: Scale, *, floor: float) -> ScoredPages:
        """The pages that were scored, with the scores of their hits.

        Raises:
            IndexFormatError: The vectors of a page are not what was written.
        """
        if not self._has_begun:
            self.picture_scale()
        if self._stages is not None:
            self._stages.add_promising(self.fusion, pictures, floor=floor)
        if self.fusion is not None:
            self._found.fuse(self.fusion, pictures)
        return self._found

    def _dense_scores(self) -> NDArray[np.float32]:
        if self._near is None:
            query = self._asked.dense_query
            assert query is not None  # noqa: S101  # else nothing is selected by them
            found = self._dense.scores(self._snapshot, query, self.pages)
            self._near = np.round(found, COSINE_DECIMALS)  # else copies are selected by chance
        return self._near

    def _promise(self, scale: Scale) -> NDArray[np.float32]:
        """Scores by which candidates are selected.

        With the words in them, the words can bring pages that the dense vectors do not.
        """
        near = self._dense_scores()
        return near if self.fusion is None else self.fusion.scores(self.pages, near, scale)


class TwoStages:
    """Scores the most promising pages until no other page is likely to be among the best.

    If the caller gave a number of candidates, exactly this number is scored.

    Attributes:
        scale: The scale of all pages, if the words count too.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        asked: MaxSimSearch,
        pages: NDArray[np.intp],
        found: ScoredPages,
        *,
        first_stage: FirstStage,
        among: int,
    ) -> None:
        """Score the pages that are in no list, and some from which to learn.

        Args:
            snapshot: The state of the index.
            asked: The search.
            pages: Pages that match its filter.
            found: Gets the pages that are scored.
            first_stage: The first stage of the index.
            among: Number of pages that are searched.
        """
        self._asked, self._found, self._among = asked, found, among
        known, looks, unknown = first_stage.looks(snapshot, asked.query, pages)
        self._known, self._looks, self._unknown = known, looks, len(unknown)
        count = asked.candidates
        self._most = most_candidates(len(snapshot), k=asked.k) if count is None else count
        found.add(unknown)
        self._costs = (asked.bias_weight * snapshot.places["bias"][known]).astype(np.float32)
        self._step = first_count(asked.k)
        self._promise = looks
        self._seen = np.empty(0, np.intp)
        self._error = 0.0
        self.scale = Scale()
        is_hybrid = asked.hybrid is not None
        if len(known) and (asked.bias_weight or is_hybrid):
            few = round(_SCALE_SAMPLES * self._step) if is_hybrid else self._step
            # Of few candidates, half are left to be selected.
            seen = self._seen = sample(looks, count=max(min(few, self._most // 2), 1))
            found.add(known[seen])
            line = outlook(looks[seen], found.maxsim[len(unknown) :])
            self._promise = line.predicted(looks) - self._costs
            if is_hybrid:
                shares = sample_shares(len(looks), sampled=len(seen))
                every = outlook(looks[seen], found.maxsim[len(unknown) :], shares=shares)
                pictures = every.predicted(looks) - self._costs
                self.scale = Scale.of(
                    np.concatenate([pictures, found.scores[: len(unknown)]]), error=every.spread
                )
                self._error = every.spread
        elif is_hybrid:
            self.scale = Scale.of(found.rounded())

    def add_promising(self, fusion: Fusion | None, scale: Scale, *, floor: float) -> None:
        """Score the other pages that may be among the best.

        Args:
            fusion: The words of the question, if they count too.
            scale: The scale of all pages.
            floor: Pages with a lower score are of no use.
        """
        asked, found, looks, seen = self._asked, self._found, self._looks, self._seen
        known, step, unknown = self._known, self._step, self._unknown
        promise = self._promise
        if fusion is not None:
            # Pages without text have a larger weight, so more can come of what is not known.
            promise = fusion.scores(known, promise + np.float32(self._error), scale)
        is_left = np.ones(len(known), np.bool_)
        is_left[seen] = False
        rest = np.flatnonzero(is_left)
        order = rest[best_first(promise[rest], most=max(self._most - len(seen), 0))]

        def worth(positions: NDArray[np.intp], pictures: NDArray[np.float32]) -> Worth:
            """What counts in the end: scores by vectors, or with words."""
            return pictures if fusion is None else fusion.scores(positions, pictures, scale)

        if asked.candidates is not None:
            found.add(known[order])
            return
        for start in range(0, len(order), step):
            if start or len(seen):
                scored = np.concatenate([seen, order[:start]])
                line = outlook(looks[scored], found.maxsim[unknown:])
                after = order[start : start + 1]
                best = line.best(float(looks[after[0]]), among=self._among)
                hope = worth(known[after], np.float32(best) - self._costs[after])
                least = kth_best(worth(found.pages, found.scores), k=asked.k)
                if hope[0] < max(least, floor):
                    break
            found.add(known[order[start : start + step]])
