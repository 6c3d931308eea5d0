"""Counts how often each shard was begun: what ends its actor each time must come to an end."""

from __future__ import annotations

from collections import Counter

__all__ = ["MOST_TRIES", "ShardTries"]

MOST_TRIES = 16


class ShardTries:
    """An actor of the run, without cores of its own."""

    def __init__(self) -> None:
        """Nothing was begun."""
        self._begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        """How often a shard was begun, with this time.

        Args:
            number: Its number.
        """
        self._begun[number] += 1
        return self._begun[number]
