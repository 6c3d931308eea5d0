"""Which words of a question match where on a page, as numbers: a heat map without its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from vdr_integrations.errors import OptionError
from vdr_integrations.retrieval.query_words import QueryWord, query_words, tokens_of_word
from vdr_integrations.retrieval.regions import Region, relevance, strongest_regions
from vdr_integrations.retrieval.word_match import strength_of, weights_of, word_match

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.retrieval.similarity import SimilarityGrids

    Chosen: TypeAlias = int | str | tuple[str, ...] | None

__all__ = ["MatchedWords"]


class MatchedWords:
    """How well the words of a question match the places of a page.

    It shows :func:`vdr_integrations.retrieval.word_match.word_match`: how well a word matches a
    cell. Its scale is the same for all pages. The picture of the page is not needed.

    Attributes:
        tokens: Text of every query token, prompt included.
        grids: float32 (query tokens, rows, columns), cosines.
        words: The words of the question, with their tokens; all tokens if it has no words.
        label: Name of the page.
    """

    def __init__(
        self, grids: SimilarityGrids, *, prompt: str | None = None, label: str = "page"
    ) -> None:
        """Find the words; compute nothing yet.

        Args:
            grids: Similarity grids of the question on this page.
            prompt: ``MultiVectorEncoder.query_prompt``, which separates the words of the question
                from those of the prompt; None looks for a known prompt.
            label: Name of the page.

        Raises:
            OptionError: The numbers of tokens and grids differ, or the grids have another shape.
            InvalidVectorError: NaN or infinity.
        """
        relevance(grids.grids)  # refuses grids of another shape, NaN and infinity
        if len(grids.tokens) != len(grids.grids):
            raise OptionError(
                f"{len(grids.tokens)} query tokens and {len(grids.grids)} similarity grids; give "
                f"the tokens of the question that the grids belong to."
            )
        self.tokens = tuple(grids.tokens)
        self.grids = grids.grids
        self.label = label
        found = query_words(self.tokens, prompt=prompt)
        self.words = tuple(found) or tuple(
            QueryWord(text.strip() or str(number), (number,))
            for number, text in enumerate(self.tokens)
        )

    @property
    def content_tokens(self) -> tuple[int, ...]:
        """Query tokens that belong to words of the question, counted from 0."""
        return tuple(token for word in self.words for token in word.tokens)

    def strength(self, token: Chosen = None) -> NDArray[np.float32]:
        """Strength of the colours: float32 (rows, columns), 0 where nothing matches, at most 1.

        Full strength is the match of a clearly printed word, on every page. Where several words
        are shown, the strongest counts, and a word that stands out less from the page is fainter:
        by the square root of its share of the most outstanding word's relevance.

        Args:
            token: A query token counted from 0, a word of the question, several words as a tuple,
                or None for all words.

        Raises:
            OptionError: There is no such token or word.
        """
        words = self._chosen(token)
        weights = weights_of(np.array([self._outstanding(word) for word in words]))
        matches = np.stack([word_match(self.grids, word) for word in words])
        return (strength_of(matches) * weights[:, None, None]).max(axis=0).astype(np.float32)

    def peak(self, word: QueryWord) -> float:
        """The match of the cell that a word matches best: 0 (none) to 1 (perfect).

        The scale is the same for all pages, see ``docs/pictures.md``.
        """
        return float(word_match(self.grids, word.tokens).max())

    def outstanding(self, word: QueryWord) -> float:
        """How far a word stands out from the page where it does most; 0 if it does nowhere.

        It is the relevance of that cell. Compare it only between words of one question.
        """
        return self._outstanding(word.tokens)

    def boxes(self, count: int = 1, *, token: Chosen = None) -> list[Region]:
        """The strongest regions, see :func:`vdr_integrations.retrieval.regions.strongest_regions`.

        Raises:
            OptionError: ``count`` below 1, or no such token or word.
        """
        return strongest_regions(self.grids, count=count, tokens=self._chosen(token))

    def _chosen(self, token: Chosen) -> list[tuple[int, ...]]:
        if token is None:
            return [word.tokens for word in self.words]
        if isinstance(token, int):
            if 0 <= token < len(self.tokens):
                return [(token,)]
            raise OptionError(
                f"{self.label}: the question has the tokens 0 to {len(self.tokens) - 1}, found "
                f"{token}."
            )
        asked = (token,) if isinstance(token, str) else token
        if not asked:
            raise OptionError(f"{self.label}: no word is chosen; name one at least, or give None.")
        return [tokens for word in asked for tokens in self._tokens_of(word)]

    def _tokens_of(self, word: str) -> list[tuple[int, ...]]:
        same = tokens_of_word(self.words, word)
        if not same:
            raise OptionError(
                f"{self.label}: {word!r} is not a word of the question; its words are "
                f"{', '.join(word.text for word in self.words)}."
            )
        return same

    def _outstanding(self, tokens: tuple[int, ...]) -> float:
        return float(relevance(self.grids, tokens=[tokens]).max())
