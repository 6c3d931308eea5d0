"""The steps that all searches by vectors of a folder share: those of the words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.scoring.fusion import Fusion, Scale
from vdr_integrations.index.scoring.stop_words import main_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    from vdr_integrations.index.hybrid import HybridQuery
    from vdr_integrations.index.scoring.bm25 import Corpus, TextScores
    from vdr_integrations.index.scoring.text_search import AskedWords

    FindWords: TypeAlias = Callable[[str], AskedWords]
    """Finds the words of a text on all pages of a state."""

__all__ = ["FusedSteps"]


class FusedSteps:
    """The words of a hybrid search; see ``VectorSearchSteps``.

    Attributes:
        pages: Pages that match the filter, as indices of the state: intp (pages,).
        fusion: Adds the words to scores by vectors; None while they do not count.
    """

    def __init__(
        self, pages: NDArray[np.intp], hybrid: HybridQuery | None, words: FindWords
    ) -> None:
        """Find nothing yet."""
        self.pages = pages
        self.fusion: Fusion | None = None
        self._hybrid, self._find = hybrid, words
        self._words: AskedWords | None = None
        self._texts: TextScores | None = None

    def corpus(self) -> Corpus:
        """See ``VectorSearchSteps``."""
        assert self._hybrid is not None  # noqa: S101  # else the words do not count
        self._words = self._find(main_words(self._hybrid.text))
        return self._words.corpus

    def score_words(self, corpus: Corpus) -> Scale:
        """See ``VectorSearchSteps``."""
        assert self._words is not None  # noqa: S101  # found before
        self._texts = self._words.scores(self.pages, corpus)
        return Scale.of_words(self._texts)

    def fuse(self, words: Scale) -> None:
        """See ``VectorSearchSteps``."""
        assert self._hybrid is not None  # noqa: S101  # else the words do not count
        assert self._texts is not None  # noqa: S101  # scored before
        self.fusion = Fusion(self.pages, self._texts, self._hybrid.weights, scale=words)

    def recall_scale(self) -> Scale:
        """See ``VectorSearchSteps``; nothing is selected by other vectors here."""
        return Scale()

    def recalled(self, scale: Scale, *, most: int) -> NDArray[np.float32]:  # noqa: ARG002
        """See ``VectorSearchSteps``; nothing is selected by other vectors here."""
        return np.empty(0, np.float32)

    def choose(self, scale: Scale, *, most: int, least: float) -> None:
        """See ``VectorSearchSteps``; nothing is selected by other vectors here."""
