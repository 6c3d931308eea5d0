"""Preparing items while the model works on those before them."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tqdm.auto import tqdm

from vdr_integrations.encoders.runtime.forks import PerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

__all__ = ["Steps", "arun_in_windows", "run_in_windows"]

Raw = TypeVar("Raw")
Prepared = TypeVar("Prepared")
Result = TypeVar("Result")

_FEWEST = 8
"""Items in a window at least, so that preparing and encoding overlap where the model takes them one
by one: two windows of patches in flight are 29 MB at 768 visual tokens."""

_preparing = PerProcess(lambda: ThreadPoolExecutor(max_workers=2, thread_name_prefix="vdr-prepare"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps(Generic[Raw, Prepared, Result]):
    """What happens to items.

    Attributes:
        prepare: One item; runs in the caller's thread.
        submit: Hands a window of items to the model.
        cost: Size of an item, in the unit of ``budget``.
        budget: What the model takes in one batch. A window has so much, so that like items become
            one batch, and no more than that and a few items are in memory.
        what: Plural noun for the progress bar.
        show_progress: A bar on stderr.
    """

    prepare: Callable[[Raw], Prepared]
    submit: Callable[[Sequence[Prepared]], Future[list[Result]]]
    cost: Callable[[Prepared], int]
    budget: int
    what: str
    show_progress: bool


def run_in_windows(items: Iterable[Raw], steps: Steps[Raw, Prepared, Result]) -> list[Result]:
    """The model's results for all items, a window at a time, in their order.

    Args:
        items: Any iterable; read as the model gets to it.
        steps: What happens to them.
    """
    done: list[Result] = []
    running: deque[Future[list[Result]]] = deque()
    windows = _Windows(iter(items), steps)
    with _progress(items, steps) as count:
        while window := windows.next():
            running.append(steps.submit(window))
            if len(running) > 1:
                done += count(running.popleft().result())
        for results in running:
            done += count(results.result())
    return done


async def arun_in_windows(
    items: Iterable[Raw], steps: Steps[Raw, Prepared, Result]
) -> list[Result]:
    """As :func:`run_in_windows`; items are read and prepared in a thread of this module's own."""
    done: list[Result] = []
    running: deque[asyncio.Future[list[Result]]] = deque()
    windows = _Windows(iter(items), steps)
    loop = asyncio.get_running_loop()
    with _progress(items, steps) as count:
        while window := await loop.run_in_executor(_preparing.value, windows.next):
            running.append(asyncio.wrap_future(steps.submit(window)))
            if len(running) > 1:
                done += count(await running.popleft())
        while running:
            done += count(await running.popleft())
    return done


class _Windows(Generic[Raw, Prepared]):
    """Prepared items, a batch's worth at a time."""

    def __init__(self, source: Iterator[Raw], steps: Steps[Raw, Prepared, Any]) -> None:
        self._source = source
        self._steps = steps
        self._left_over: list[Prepared] = []  # one at most, that had no room

    def next(self) -> list[Prepared]:
        """The next window; empty at the end."""
        window, self._left_over = self._left_over, []
        spent = sum(map(self._steps.cost, window))
        for raw in self._source:
            item = self._steps.prepare(raw)
            spent += self._steps.cost(item)
            if spent > self._steps.budget and len(window) >= _FEWEST:
                self._left_over = [item]
                break
            window.append(item)
            if spent >= self._steps.budget and len(window) >= _FEWEST:
                break
        return window


@contextmanager
def _progress(
    items: Iterable[Any], steps: Steps[Any, Any, Result]
) -> Generator[Callable[[list[Result]], list[Result]]]:
    """Counts results, on a bar where one is shown, and gives them back."""
    if not steps.show_progress:
        yield lambda results: results
        return
    total = getattr(items, "__len__", lambda: None)()
    with tqdm(total=total, desc=f"Encoding {steps.what}", unit="") as bar:

        def count(results: list[Result]) -> list[Result]:
            bar.update(len(results))
            return results

        yield count
