"""Waiting for others without a clock that says how fast they must be."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import Counter
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HANG_S", "LoopTurns"]

HANG_S = 120
"""Whatever takes longer hangs: no machine that runs these tests is that slow, or that busy."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class LoopTurns:
    """Holds up work until the running event loop has turned once more.

    Work that the loop does itself, or that it stands still for, fails.

    Attributes:
        during: How often it turned for each function that :meth:`needed_by` made.
    """

    def __init__(self) -> None:
        """Watch the event loop that runs now."""
        self.during: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._stands_still = False

    def needed_by(self, work: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        """``work``, which ends only if the loop turns after it was begun."""

        @functools.wraps(work)
        def held_up(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
            self._wait()
            self.during[work.__name__] += 1
            return work(*arguments, **options)

        return held_up

    def _wait(self) -> None:
        assert threading.get_ident() != self._thread, "the event loop does the work itself"
        turned = threading.Event()
        self._loop.call_soon_threadsafe(turned.set)
        if self._stands_still or not turned.wait(HANG_S):
            self._stands_still = True  # known now: what comes next need not wait as long again
            raise AssertionError("the event loop stands still until the work is done")
