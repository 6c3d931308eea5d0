"""Questions that ask something else, by which an index knows which pages match any question.

MaxSim favours some pages whatever is asked: full pages, certain print. An index with a question
bank keeps one number a page, its bias: how well the page matches the questions of the bank, per
query token. Scores then are MaxSim minus what the page gets from any question. In cross-modal
retrieval this is known as query-bank normalisation (QB-Norm, arXiv 2112.12777) and as a remedy for
hubness.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from vdr_integrations.encoders.preprocessing.text_check import check_texts
from vdr_integrations.errors import InvalidVectorError, OptionError
from vdr_integrations.index.arguments import check_unit_rows
from vdr_integrations.index.index_settings import Correction
from vdr_integrations.index.scoring.maxsim import check_matrix, maxsim_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.encoders import MultiVectorEncoder

__all__ = ["QuestionBank", "check_strength"]

_MOST_TOKENS = 8192
"""2 MB of vectors of 128 numbers. A bank of 700 tokens ranks like one of 500."""
_MOST_STRENGTH = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class QuestionBank:
    """Token vectors of questions, and how much of a page's bias is subtracted.

    Attributes:
        vectors: float16 (tokens, dimension): the rows of all questions' matrices, of length 1;
            float32 is rounded.
        strength: Share of the bias that is subtracted from a score, above 0 and at most 2. Short
            questions get less, see ``Correction``.
    """

    vectors: NDArray[np.float16]
    strength: float = 1.0

    def __post_init__(self) -> None:
        """Refuse vectors and strengths that cannot be used."""
        check_matrix("the question bank", self.vectors)
        _check_tokens(len(self.vectors))
        # As they are stored: an index gives the same scores before and after it is opened again.
        rows = self.vectors.astype(np.float16)
        wide = rows.astype(np.float32)
        check_unit_rows("the question bank", wide, dimension=wide.shape[1])
        object.__setattr__(self, "vectors", rows)
        object.__setattr__(self, "strength", check_strength(self.strength))
        if self.strength == 0.0:
            raise OptionError(
                "a question bank of strength 0 changes nothing; leave the question bank out."
            )

    @classmethod
    def of(
        cls, encoder: MultiVectorEncoder, questions: Iterable[str], *, strength: float = 1.0
    ) -> Self:
        """A bank of these questions.

        Args:
            encoder: The encoder that makes the index.
            questions: Questions as users ask them, about many things; forty short ones are enough.
            strength: See the attribute.

        Raises:
            OptionError: No questions, an empty one, too many, or a strength that is not allowed.
            EncodingError: The encoder failed.
        """
        if isinstance(questions, str | bytes) or not isinstance(questions, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise OptionError(
                f"a question bank needs a list of questions, found {type(questions).__name__}; for "
                f"one question write [question]."
            )
        texts = list(dict.fromkeys(check_texts(questions)))
        if not texts or not all(text.strip() for text in texts):
            raise OptionError(
                f"a question bank needs questions, found {len(texts)} and "
                f"{sum(not text.strip() for text in texts)} of them empty; give one a line."
            )
        # Before any is encoded: with a large model on a CPU, many questions take hours.
        _check_tokens(sum(len(encoder.query_tokens(text)) for text in texts))
        rows = np.concatenate(encoder.encode_queries(texts))
        return cls(rows.astype(np.float16), strength)

    @classmethod
    def of_checkpoint(cls, encoder: MultiVectorEncoder) -> Self | None:
        """The bank that the encoder's checkpoint brings; None if it brings none."""
        known = encoder.checkpoint
        if not known.bank_questions:
            return None
        return cls.of(encoder, known.bank_questions, strength=known.bank_strength)

    def check_dimension(self, dimension: int) -> None:
        """Refuse a bank of another encoder.

        Raises:
            OptionError: Its vectors have another length.
        """
        if self.vectors.shape[1] != dimension:
            raise OptionError(
                f"the question bank has vectors of {self.vectors.shape[1]} numbers, and the index "
                f"of {dimension}; make the bank with the encoder of the index."
            )

    @property
    def correction(self) -> Correction:
        """What the settings of an index say of this bank."""
        digest = hashlib.sha256(self.to_bytes()).hexdigest()
        return Correction(self.strength, tokens=len(self.vectors), digest=digest)

    def bias(self, page: NDArray[np.float32]) -> float:
        """How well a page matches the questions of the bank: MaxSim per query token.

        Args:
            page: float32 (tokens, dimension), as the index stores it.

        Raises:
            OptionError: A wrong shape or dtype.
            InvalidVectorError: No tokens, NaN or infinity.
        """
        return maxsim_score(self.vectors, page) / len(self.vectors)

    def to_bytes(self) -> bytes:
        """The vectors: float16, little-endian, one row after the other."""
        return self.vectors.astype("<f2").tobytes()

    @classmethod
    def of_bytes(cls, data: bytes, correction: Correction, *, dimension: int) -> Self | None:
        """The bank of bytes that :meth:`to_bytes` returned; None if they are not those."""
        if hashlib.sha256(data).hexdigest() != correction.digest:
            return None
        rows = np.frombuffer(data, "<f2").astype(np.float16).reshape(-1, dimension)
        try:
            return cls(rows, correction.strength)
        except (InvalidVectorError, OptionError):
            return None


def _check_tokens(found: int) -> None:
    if found > _MOST_TOKENS:
        raise OptionError(
            f"a question bank has at most {_MOST_TOKENS} tokens, found {found}; give fewer "
            f"questions. Some hundred tokens are enough."
        )


def check_strength(strength: float) -> float:
    """A strength as a number.

    Raises:
        OptionError: Below 0, above 2, or not a number.
    """
    found = math.nan
    if not isinstance(strength, bool | str):  # untyped callers
        with suppress(TypeError, ValueError, OverflowError):
            found = float(strength)
    if not 0.0 <= found <= _MOST_STRENGTH:
        raise OptionError(
            f"correction must be a number from 0 (scores are MaxSim alone) to {_MOST_STRENGTH:g}, "
            f"found {strength!r}; 1 subtracts the whole bias of a page."
        )
    return found
