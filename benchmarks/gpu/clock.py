"""Repeat work until its time is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    Item = TypeVar("Item")

__all__ = ["Clock"]


class Clock:
    """A number of seconds from now on."""

    def __init__(self, seconds: float) -> None:
        """Start."""
        self._began = time.perf_counter()
        self._end = self._began + seconds

    @property
    def left(self) -> float:
        """Seconds; below 0 when it is over."""
        return self._end - time.perf_counter()

    @property
    def took(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._began

    def part(self, parts: int) -> Clock:
        """What each of so many things still to do may take."""
        return Clock(max(0.0, self.left) / parts)

    def seconds(self, work: Callable[[], object], *, at_most: int) -> list[float]:
        """Seconds of each round: one round at least, ``at_most`` if there is time for all.

        The work must wait for the device itself, as everything does that gives vectors.
        """
        took: list[float] = []
        while len(took) < at_most and (not took or self.left > 0):
            began = time.perf_counter()
            work()
            took.append(time.perf_counter() - began)
        return took

    def while_left(self, items: Iterable[Item]) -> Iterator[Item]:
        """The first item, and others until time is over."""
        for item in items:
            yield item
            if self.left <= 0:
                return
