"""How long to wait between attempts."""

from __future__ import annotations

from random import SystemRandom
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["pauses"]

_chance = SystemRandom()


def pauses(*, first_s: float, longest_s: float) -> Iterator[float]:
    """Pauses in seconds, without end: each is about twice the one before it.

    Half of a pause is random: callers that were refused together must not try again together.

    Args:
        first_s: The greatest first pause.
        longest_s: The greatest of all.
    """
    pause = first_s
    while True:
        yield pause * (0.5 + 0.5 * _chance.random())
        pause = min(2 * pause, longest_s)
