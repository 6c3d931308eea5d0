"""Prepare items while the model works on the items before them."""

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
"""Fewest items in a window, so that preparing and encoding overlap even if the model encodes them
one by one. Two windows of patches are 29 MB at 768 visual tokens."""

_preparing = PerProcess(lambda: ThreadPoolExecutor(max_workers=2, thread_name_prefix="vdr-prepare"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps(Generic[Raw, Prepared, Result]):
    """What is done with the items.

    Attributes:
        prepare: Prepares one item; runs in the caller's thread.
        submit: Sends a window of items to the model.
        cost: Size of an item, in the unit of ``budget``.
        budget: Size of one batch of the model. A window has the same size, so that equal items
            become one batch, and little more than that is in memory.
        at_once: How many windows the model works on at the same time; as many wait for it.
        what: Plural noun for the progress bar.
        show_progress: Show a progress bar on stderr.
    """

    prepare: Callable[[Raw], Prepared]
    submit: Callable[[Sequence[Prepared]], Future[list[Result]]]
    cost: Callable[[Prepared], int]
    budget: int
    at_once: int
    what: str
    show_progress: bool


def run_in_windows(items: Iterable[Raw], steps: Steps[Raw, Prepared, Result]) -> list[Result]:
    """The model's results for all items, in their order, computed one window at a time.

    Args:
        items: Any iterable; an item is read shortly before the model needs it.
        steps: What is done with them.
    """
    done: list[Result] = []
    running: deque[Future[list[Result]]] = deque()
    windows = _Windows(iter(items), steps)
    with _given_up(running), _progress(items, steps) as count:
        while window := windows.next():
            running.append(steps.submit(window))
            if len(running) >= 2 * steps.at_once:
                done += count(running[0].result())
                running.popleft()
        while running:
            done += count(running[0].result())
            running.popleft()
    return done


async def arun_in_windows(
    items: Iterable[Raw], steps: Steps[Raw, Prepared, Result]
) -> list[Result]:
    """Do :func:`run_in_windows`, but read and prepare items in a thread of this module."""
    done: list[Result] = []
    running: deque[asyncio.Future[list[Result]]] = deque()
    windows = _Windows(iter(items), steps)
    loop = asyncio.get_running_loop()
    with _given_up(running), _progress(items, steps) as count:
        while window := await loop.run_in_executor(_preparing.value, windows.next):
            running.append(asyncio.wrap_future(steps.submit(window)))
            if len(running) >= 2 * steps.at_once:
                done += count(await running[0])
                running.popleft()
        while running:
            done += count(await running[0])
            running.popleft()
    return done


class _Windows(Generic[Raw, Prepared]):
    """Prepared items, as many at a time as fill a batch."""

    def __init__(self, source: Iterator[Raw], steps: Steps[Raw, Prepared, Any]) -> None:
        self._source = source
        self._steps = steps
        self._left_over: list[Prepared] = []  # at most one, for which there was no room

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
def _given_up(running: Iterable[Future[Any] | asyncio.Future[Any]]) -> Generator[None]:
    """Take what still runs after an error away from the model: nobody waits for it."""
    try:
        yield
    finally:
        for results in running:
            if not results.cancel() and not results.cancelled() and results.done():
                results.exception()  # asyncio warns of errors that nobody has looked at


@contextmanager
def _progress(
    items: Iterable[Any], steps: Steps[Any, Any, Result]
) -> Generator[Callable[[list[Result]], list[Result]]]:
    """Yield a function that counts results on the progress bar and returns them."""
    if not steps.show_progress:
        yield lambda results: results
        return
    total = getattr(items, "__len__", lambda: None)()
    with tqdm(total=total, desc=f"Encoding {steps.what}", unit="") as bar:

        def count(results: list[Result]) -> list[Result]:
            bar.update(len(results))
            return results

        yield count
