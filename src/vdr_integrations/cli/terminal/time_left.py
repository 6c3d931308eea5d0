"""How fast pages are encoded, and how long the rest takes. Arithmetic only."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdr_integrations.index import SyncProgress

__all__ = ["Pace", "Pacer", "clock_time"]


@dataclass(frozen=True, slots=True)
class Pace:
    """What is known now.

    Attributes:
        pages_per_second: None before the first page.
        seconds_left: None before the first page, and as long as nobody knows how many pages come.
    """

    pages_per_second: float | None = None
    seconds_left: float | None = None


class Pacer:
    """Measures a run. The time before its first page begins does not count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is measured yet.

        Args:
            clock: Returns seconds.
        """
        self._clock = clock
        self._began = clock()

    def pace(self, state: SyncProgress) -> Pace:
        """The pace at this state of the run, which must not be older than the last one."""
        now = self._clock()
        if not state.pages_encoded:
            self._began = now
            return Pace()
        elapsed_s = now - self._began
        speed = state.pages_encoded / elapsed_s if elapsed_s > 0 else None
        if speed is None or state.pages_total is None:
            return Pace(speed)
        return Pace(speed, max(state.pages_total - state.pages_done, 0) / speed)


def clock_time(seconds: float | None) -> str:
    """Hours, minutes and seconds as ``0:03:25``; dashes if they are not known."""
    if seconds is None:
        return "-:--:--"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
