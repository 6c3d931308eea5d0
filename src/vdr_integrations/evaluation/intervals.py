"""Bootstrap intervals of means over questions. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Mean", "mean_with_interval"]

_RESAMPLES = 2000
_LEVEL = 0.95
_SEED = 20240229
_AT_ONCE = 100_000_000
"""Numbers in memory at a time."""


class Mean(NamedTuple):
    """A mean over questions, and the interval in which it would be for other questions.

    Attributes:
        mean: NaN without questions.
        low: Lower end of the 95 % interval.
        high: Upper end of it.
        questions: Number of questions.
    """

    mean: float
    low: float
    high: float
    questions: int

    def to_dict(self) -> dict[str, float | int | None]:
        """For JSON, which has no NaN."""
        numbers = (self.mean, self.low, self.high)
        mean, low, high = (None if number != number else number for number in numbers)  # noqa: PLR0124  # NaN
        return {"mean": mean, "low": low, "high": high, "questions": self.questions}


def mean_with_interval(values: NDArray[np.float64]) -> Mean:
    """The mean, and its 95 % interval by the percentile bootstrap with 2,000 resamples.

    The seed is fixed, so values of the same questions are resampled alike, and a second run gives
    the same numbers. For the difference of two systems, give the differences of their values.

    Args:
        values: float64 (questions,).
    """
    count = len(values)
    if not count:
        return Mean(np.nan, np.nan, np.nan, 0)
    random = np.random.default_rng(_SEED)
    step = max(1, _AT_ONCE // count)
    means = np.concatenate(
        [
            values[random.integers(count, size=(min(step, _RESAMPLES - start), count))].mean(axis=1)
            for start in range(0, _RESAMPLES, step)
        ]
    )
    low, high = np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Mean(float(values.mean()), float(low), float(high), count)
