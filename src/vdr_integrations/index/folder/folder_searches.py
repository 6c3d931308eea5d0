"""Searches in a folder: each in one committed state of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.folder.dense_scores import DenseScores
from vdr_integrations.index.folder.first_stage_files import FirstStage
from vdr_integrations.index.folder.fused_steps import FusedSteps
from vdr_integrations.index.folder.maxsim_search import MaxSimSteps, ScoredPages
from vdr_integrations.index.folder.reader import namer, of_ids
from vdr_integrations.index.folder.vector_places import ids_of_keys
from vdr_integrations.index.scoring.bm25 import TEXT_DECIMALS, PageTextScores
from vdr_integrations.index.scoring.fusion import Scale
from vdr_integrations.index.scoring.ranking import COSINE_DECIMALS, MAXSIM_DECIMALS, best_pages
from vdr_integrations.index.scoring.text_search import TextSearch
from vdr_integrations.index.search_steps import DenseSearch

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from vdr_integrations.index.folder.reader import FolderReader
    from vdr_integrations.index.folder.snapshot import Snapshot
    from vdr_integrations.index.page_filter import Where
    from vdr_integrations.index.scoring.bm25 import Corpus
    from vdr_integrations.index.scoring.text_search import AskedWords
    from vdr_integrations.index.search_steps import Asked, MaxSimSearch
    from vdr_integrations.types import Hit
    from vdr_integrations.types.hit import ScoreKind

__all__ = ["FolderSearches"]


class FolderSearches:
    """Searches one index. Safe to call from any thread.

    Attributes:
        reader: Reads the index.
        dense: Scores dense vectors.
        first_stage: Selects candidates.
        texts: Finds words.
    """

    def __init__(self, reader: FolderReader) -> None:
        """Nothing is searched yet."""
        self.reader = reader
        self.dense = DenseScores()
        self.first_stage = FirstStage()
        self.texts = TextSearch()

    def state(self) -> FolderState:
        """See ``Searches``."""
        return FolderState(self, self.reader.snapshot())

    def holding(self) -> AbstractContextManager[None]:
        """See ``Searches``."""
        return self.reader.holding()


class FolderState:
    """One committed state of a folder; see ``SearchState``."""

    def __init__(self, searches: FolderSearches, snapshot: Snapshot) -> None:
        """Search this state."""
        self._searches, self._snapshot = searches, snapshot
        self._reader = searches.reader

    @property
    def sources(self) -> Collection[str]:
        """See ``SearchState``."""
        return self._snapshot.sources

    def page_count(self) -> int:
        """See ``SearchState``."""
        return len(self._snapshot)

    def by_vectors(self, asked: Asked, *, among: int | None = None) -> _DenseSteps | _TokenSteps:
        """See ``SearchState``."""
        pages = self._reader.fitting(self._snapshot, asked.where)
        if isinstance(asked, DenseSearch):
            return _DenseSteps(self, asked, pages)
        return _TokenSteps(self, asked, pages, among=among)

    def by_words(self, text: str, where: Where) -> _TextSteps:
        """See ``SearchState``."""
        pages = self._reader.fitting(self._snapshot, where)
        return _TextSteps(self, self.words(text), pages)

    def rerank(
        self, query: NDArray[np.float32], page_ids: Sequence[str], *, bias_weight: float
    ) -> list[Hit]:
        """See ``SearchState``."""
        pages = np.array(of_ids(self._snapshot, page_ids), np.intp)
        found = ScoredPages(self._snapshot, query, bias_weight=bias_weight)
        found.add(pages)
        kind = "corrected" if bias_weight else "maxsim"
        return self.hits(found.pages, found.scores, k=max(len(pages), 1), kind=kind)

    @property
    def searches(self) -> FolderSearches:
        """What searches of all states share."""
        return self._searches

    @property
    def snapshot(self) -> Snapshot:
        """The state as it was read."""
        return self._snapshot

    def words(self, text: str) -> AskedWords:
        """The words of a text on all pages.

        Raises:
            IndexFormatError: A document, or the text of a page whose words were altered too, is not
                what was written. Every page of the index has a part in every score.
            ChangedMeanwhileError: Some pages were removed since.
        """
        snapshot = self._snapshot
        snapshot.refuse_altered(None)
        return self._searches.texts.asked(
            text,
            index_id=snapshot.manifest.index_id,
            rows=snapshot.rows,
            read=partial(self._reader.words, snapshot),
        )

    def hits(
        self,
        pages: NDArray[np.intp],
        scores: NDArray[np.float32] | NDArray[np.float64],
        *,
        k: int,
        kind: ScoreKind,
        decimals: int = MAXSIM_DECIMALS,
    ) -> list[Hit]:
        """The best of these pages, best first."""
        best = best_pages(pages, scores, k=k, decimals=decimals, name=namer(self._snapshot))
        stored = self._reader.stored(self._snapshot, [index for index, _ in best], vectors=False)
        return [page.hit(score, kind) for page, (_, score) in zip(stored, best, strict=True)]


class _TokenSteps(MaxSimSteps):
    def __init__(
        self, state: FolderState, asked: MaxSimSearch, pages: NDArray[np.intp], *, among: int | None
    ) -> None:
        super().__init__(
            state.snapshot,
            asked,
            pages,
            first_stage=state.searches.first_stage,
            dense=state.searches.dense,
            words=state.words,
            among=among,
        )
        self._state, self._k = state, asked.k
        self._kind: ScoreKind = asked.score_kind

    def hits(self, pictures: Scale, *, floor: float) -> list[Hit]:
        """See ``VectorSearchSteps``."""
        found = self.scored(pictures, floor=floor)
        return self._state.hits(found.pages, found.scores, k=self._k, kind=self._kind)


class _DenseSteps(FusedSteps):
    def __init__(self, state: FolderState, asked: DenseSearch, pages: NDArray[np.intp]) -> None:
        super().__init__(pages, asked.hybrid, state.words)
        self._state, self._asked = state, asked
        self._scores: NDArray[np.float32] | None = None

    def picture_scale(self) -> Scale:
        """See ``VectorSearchSteps``."""
        return Scale.of(self._rounded())

    def hits(self, pictures: Scale, *, floor: float) -> list[Hit]:  # noqa: ARG002  # all are scored
        """See ``VectorSearchSteps``."""
        scores = self._cosines()
        if self.fusion is not None:
            scores = self.fusion.scores(self.pages, self._rounded(), pictures)
        asked = self._asked
        return self._state.hits(
            self.pages, scores, k=asked.k, kind=asked.score_kind, decimals=COSINE_DECIMALS
        )

    def _cosines(self) -> NDArray[np.float32]:
        if self._scores is None:
            state = self._state
            dense = state.searches.dense
            self._scores = dense.scores(state.snapshot, self._asked.query, self.pages)
        return self._scores

    def _rounded(self) -> NDArray[np.float64]:
        return np.round(self._cosines().astype(np.float64), COSINE_DECIMALS)


class _TextSteps:
    """A search by words; see ``TextSearchSteps``."""

    def __init__(self, state: FolderState, words: AskedWords, pages: NDArray[np.intp]) -> None:
        self._state, self._words, self._pages = state, words, pages

    @property
    def corpus(self) -> Corpus:
        """See ``TextSearchSteps``."""
        return self._words.corpus

    def hits(self, corpus: Corpus, *, k: int) -> list[Hit]:
        """See ``TextSearchSteps``."""
        found = self._words.scores(self._pages, corpus)
        matching = found.scores > 0
        return self._state.hits(
            found.pages[matching],
            found.scores[matching],
            k=k,
            kind="bm25",
            decimals=TEXT_DECIMALS,
        )

    def scores(self, corpus: Corpus) -> PageTextScores:
        """See ``TextSearchSteps``."""
        found = self._words.scores(self._pages, corpus)
        keys = self._state.snapshot.places["page_id"][found.pages].tobytes()
        return PageTextScores(ids_of_keys(keys), found.scores)
