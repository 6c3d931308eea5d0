"""A question: texts, an image, both, or token vectors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.encoders.preprocessing.text_check import check_texts
from vdr_integrations.errors import InvalidVectorError, OptionError
from vdr_integrations.index.scoring.token_pooling import pool_visual_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.types import Page

__all__ = ["Question", "direction_of_mean"]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What to search for: texts, an image, texts and an image, or vectors.

    Attributes:
        texts: Several texts count together. By late interaction the score of a page is the sum of
            its scores; a dense search uses the direction of the mean of their vectors.
        page: An image; its tokens are those of the query. Beside texts, it counts as much as they
            do: by late interaction its tokens are merged into as many as the texts have.
        vectors: float32 (query tokens, dimension), rows of length 1, for late interaction.

    Raises:
        OptionError: None of them is given, or vectors and something else.
    """

    texts: tuple[str, ...] = ()
    page: Page | None = None
    vectors: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Refuse none and several: the vectors of one would be kept as those of another."""
        shown = bool(self.texts) or self.page is not None
        if shown == (self.vectors is not None):
            raise OptionError(
                f"a question is texts, a page, both, or vectors, found "
                f"{'vectors and something else' if shown else 'nothing'}; give either vectors, or "
                f"texts and a page."
            )

    @classmethod
    def of(cls, asked: str | Sequence[str] | Question) -> Question:
        """The question of a text or of several texts; a ``Question`` is returned unchanged.

        Raises:
            OptionError: An empty text, something that is not text, or half a surrogate pair.
        """
        if isinstance(asked, Question):
            return asked
        if not isinstance(asked, str | Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise OptionError(
                f"a question is a text, a list of texts or a Question, found "
                f"{type(asked).__name__}."
            )
        texts = check_texts([asked] if isinstance(asked, str) else asked)
        if not texts or not all(text.strip() for text in texts):
            raise OptionError("the question is empty; ask in plain words.")
        return cls(texts=tuple(texts))

    @classmethod
    def of_image(cls, page: Page, text: str | None = None) -> Question:
        """The question of an image, and of a text beside it.

        Raises:
            OptionError: An empty text, something that is not text, or half a surrogate pair.
        """
        return cls(page=page) if text is None else cls(texts=cls.of(text).texts, page=page)

    def tokens(self, encoder: MultiVectorEncoder) -> NDArray[np.float32]:
        """The token vectors of the question, float32 (query tokens, dimension).

        Raises:
            EncodingError: The model could not compute vectors, or a text is too long.
        """
        if self.vectors is not None:
            return self.vectors
        words = encoder.encode_queries(self.texts)
        image = None if self.page is None else encoder.encode_pages([self.page])[0]
        return self._rows(words, image)

    async def atokens(self, encoder: MultiVectorEncoder) -> NDArray[np.float32]:
        """:meth:`tokens` without blocking the event loop."""
        if self.vectors is not None:
            return self.vectors
        words = await encoder.aencode_queries(self.texts)
        image = None if self.page is None else (await encoder.aencode_pages([self.page]))[0]
        return self._rows(words, image)

    @staticmethod
    def _rows(
        words: Sequence[NDArray[np.float32]], image: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        if image is None or not words:
            return np.concatenate(words) if image is None else image
        rows = np.concatenate(words)
        factor = max(1, round(len(image) / len(rows)))
        return np.concatenate([rows, pool_visual_tokens(image, None, factor=factor)])

    def dense(self, encoder: DenseEncoder) -> NDArray[np.float32]:
        """The dense vector of the question, float32 (dimension,), of length 1.

        Raises:
            OptionError: The question is token vectors.
            EncodingError: The model could not compute a vector.
        """
        parts: list[NDArray[np.float32]] = []
        if self.texts or self.page is None:
            parts.append(direction_of_mean(encoder.encode_queries(self._dense_texts())))
        if self.page is not None:
            parts.append(encoder.encode_pages([self.page])[0])
        return direction_of_mean(np.stack(parts))

    async def adense(self, encoder: DenseEncoder) -> NDArray[np.float32]:
        """:meth:`dense` without blocking the event loop."""
        parts: list[NDArray[np.float32]] = []
        if self.texts or self.page is None:
            parts.append(direction_of_mean(await encoder.aencode_queries(self._dense_texts())))
        if self.page is not None:
            parts.append((await encoder.aencode_pages([self.page]))[0])
        return direction_of_mean(np.stack(parts))

    def correction(self, asked: float | None) -> float | None:
        """The correction of scores: an image is compared by MaxSim alone, unless asked for."""
        return 0.0 if asked is None and self.page is not None else asked

    @property
    def in_words(self) -> Question:
        """The question without its image, for what only words can say; itself if it has none."""
        return Question(texts=self.texts) if self.texts and self.page is not None else self

    def token_texts(self, encoder: MultiVectorEncoder | None) -> list[str]:
        """The text of every query token, prompt included; for vectors, their numbers.

        Raises:
            OptionError: The question is an image.
        """
        if self.vectors is not None:  # the space makes each number a word of its own
            return [f" {number}" for number in range(len(self.vectors))]
        if not self.texts or encoder is None:
            raise OptionError(
                "similarity grids show where the words of a text match; this question has no text."
            )
        return [token for text in self.texts for token in encoder.query_tokens(text)]

    def _dense_texts(self) -> tuple[str, ...]:
        if self.vectors is not None:
            raise OptionError(
                "the question is token vectors, and the search needs a dense vector too. Search "
                "with a text or an image, or without recall."
            )
        return self.texts


def direction_of_mean(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of several vectors, normalised again.

    Args:
        vectors: float32 (n, dimension), rows of length 1.

    Returns:
        float32 (dimension,), of length 1; a single vector is returned unchanged.

    Raises:
        InvalidVectorError: They cancel each other out.
    """
    if len(vectors) == 1:
        return vectors[0]
    mean = vectors.astype(np.float64).mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length == 0.0:
        raise InvalidVectorError(
            f"the mean of the {len(vectors)} query vectors is zero, so it has no direction. Leave "
            f"one query out."
        )
    return (mean / length).astype(np.float32)
