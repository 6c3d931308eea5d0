"""Which question bank a new index gets, and by what the scores of one question are corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from vdr_integrations.errors import OptionError
from vdr_integrations.index.question_bank import QuestionBank
from vdr_integrations.index.scoring.maxsim import maxsim_scores
from vdr_integrations.index.scoring.page_bias import corrected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders import MultiVectorEncoder

__all__ = ["QuestionBankChoice", "ScoreScale", "chosen_bank"]

QuestionBankChoice: TypeAlias = "QuestionBank | Sequence[str] | Literal['model'] | None"
"""A bank, questions of the user, what the checkpoint brings, or none."""


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """By what the scores of one question are corrected.

    Attributes:
        correction: See ``SearchOptions``, for pages that an index holds.
        bank: Returns the question bank that the bias of other pages is measured with; it is read
            only if there are such pages.
        weight: How many times the bias is subtracted.
    """

    correction: float | None = None
    bank: Callable[[], QuestionBank | None] = lambda: None
    weight: float = 0.0

    def score(self, query: NDArray[np.float32], page: NDArray[np.float32]) -> float:
        """The score of a page that no index holds.

        Args:
            query: float32 (query tokens, dimension).
            page: float32 (tokens, dimension), as the index would store it.
        """
        maxsim = maxsim_scores(query, [page])
        bank = self.bank() if self.weight else None
        if bank is None:
            return float(maxsim[0])
        bias = np.array([bank.bias(page)], np.float32)
        return float(corrected(maxsim, bias, weight=self.weight)[0])


def chosen_bank(choice: QuestionBankChoice, encoder: MultiVectorEncoder) -> QuestionBank | None:
    """The bank of a choice.

    Raises:
        OptionError: Something else, or questions that make no bank.
        EncodingError: The encoder failed.
    """
    if choice is None or isinstance(choice, QuestionBank):
        return choice
    if isinstance(choice, str) and choice == "model":
        return QuestionBank.of_checkpoint(encoder)
    if isinstance(choice, str):
        raise OptionError(
            f"question_bank must be 'model', None, a QuestionBank or a list of questions, found "
            f"{choice!r}."
        )
    return QuestionBank.of(encoder, choice)
