"""A question: texts, an image, or token vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.encoders.preprocessing.text_check import check_texts
from vdr_integrations.errors import InvalidVectorError, OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.types import Page

__all__ = ["Question", "direction_of_mean"]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What to search for: texts, an image, or vectors, and only one of them.

    Attributes:
        texts: Several texts count together. By late interaction the score of a page is the sum of
            its scores; a dense search uses the direction of the mean of their vectors.
        page: An image; its tokens are those of the query.
        vectors: float32 (query tokens, dimension), rows of length 1, for late interaction.

    Raises:
        OptionError: None of them is given, or more than one.
    """

    texts: tuple[str, ...] = ()
    page: Page | None = None
    vectors: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Refuse none and several: the vectors of one would be kept as those of another."""
        given = (bool(self.texts), self.page is not None, self.vectors is not None)
        if sum(given) != 1:
            raise OptionError(
                f"a question is either texts, a page or vectors, found {sum(given)} of them; give "
                f"exactly one."
            )

    @classmethod
    def of(cls, asked: str | Sequence[str] | Question) -> Question:
        """The question of a text or of several texts; a ``Question`` is returned unchanged.

        Raises:
            OptionError: An empty text, something that is not text, or half a surrogate pair.
        """
        if isinstance(asked, Question):
            return asked
        texts = check_texts([asked] if isinstance(asked, str) else asked)
        if not texts or not all(text.strip() for text in texts):
            raise OptionError("the question is empty; ask in plain words.")
        return cls(texts=tuple(texts))

    def tokens(self, encoder: MultiVectorEncoder) -> NDArray[np.float32]:
        """The token vectors of the question, float32 (query tokens, dimension).

        Raises:
            EncodingError: The model could not compute vectors, or a text is too long.
        """
        if self.vectors is not None:
            return self.vectors
        if self.page is not None:
            return encoder.encode_pages([self.page])[0]
        return np.concatenate(encoder.encode_queries(self.texts))

    async def atokens(self, encoder: MultiVectorEncoder) -> NDArray[np.float32]:
        """:meth:`tokens` without blocking the event loop."""
        if self.vectors is not None:
            return self.vectors
        if self.page is not None:
            return (await encoder.aencode_pages([self.page]))[0]
        return np.concatenate(await encoder.aencode_queries(self.texts))

    def dense(self, encoder: DenseEncoder) -> NDArray[np.float32]:
        """The dense vector of the question, float32 (dimension,), of length 1.

        Raises:
            OptionError: The question is token vectors.
            EncodingError: The model could not compute a vector.
        """
        if self.page is not None:
            return encoder.encode_pages([self.page])[0]
        return direction_of_mean(encoder.encode_queries(self._dense_texts()))

    async def adense(self, encoder: DenseEncoder) -> NDArray[np.float32]:
        """:meth:`dense` without blocking the event loop."""
        if self.page is not None:
            return (await encoder.aencode_pages([self.page]))[0]
        return direction_of_mean(await encoder.aencode_queries(self._dense_texts()))

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
