"""Preparing a few items while the model works on those before them."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm.auto import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["arun_in_windows", "run_in_windows"]

Raw = TypeVar("Raw")
Prepared = TypeVar("Prepared")
Result = TypeVar("Result")

WINDOW = 8
"""Items prepared at once: two windows of patches in flight are 29 MB at 768 visual tokens."""

_preparing = ThreadPoolExecutor(max_workers=2, thread_name_prefix="vdr-prepare")


def run_in_windows(
    items: Iterable[Raw],
    *,
    prepare: Callable[[Raw], Prepared],
    submit: Callable[[Sequence[Prepared]], Future[list[Result]]],
    what: str,
    show_progress: bool,
) -> list[Result]:
    """The model's results for all items, a window at a time, in their order.

    Args:
        items: Any iterable; read as the model gets to it.
        prepare: Runs in the caller's thread.
        submit: Hands a window to the model.
        what: Plural noun for the progress bar.
        show_progress: A bar on stderr.
    """
    done: list[Result] = []
    running: deque[Future[list[Result]]] = deque()
    source = iter(items)
    with _bar(items, what, show=show_progress) as bar:
        while window := _prepared(source, prepare):
            running.append(submit(window))
            if len(running) > 1:
                done += _counted(running.popleft().result(), bar)
        for results in running:
            done += _counted(results.result(), bar)
    return done


async def arun_in_windows(
    items: Iterable[Raw],
    *,
    prepare: Callable[[Raw], Prepared],
    submit: Callable[[Sequence[Prepared]], Future[list[Result]]],
    what: str,
    show_progress: bool,
) -> list[Result]:
    """As :func:`run_in_windows`; items are read and prepared in a thread of this module's own."""
    done: list[Result] = []
    running: deque[asyncio.Future[list[Result]]] = deque()
    prepare_next = partial(_prepared, iter(items), prepare)
    loop = asyncio.get_running_loop()
    with _bar(items, what, show=show_progress) as bar:
        while window := await loop.run_in_executor(_preparing, prepare_next):
            running.append(asyncio.wrap_future(submit(window)))
            if len(running) > 1:
                done += _counted(await running.popleft(), bar)
        while running:
            done += _counted(await running.popleft(), bar)
    return done


def _prepared(source: Iterator[Raw], prepare: Callable[[Raw], Prepared]) -> list[Prepared]:
    return [prepare(item) for item in islice(source, WINDOW)]


def _counted(results: list[Result], bar: tqdm[Any]) -> list[Result]:
    bar.update(len(results))
    return results


def _bar(items: Iterable[Raw], what: str, *, show: bool) -> tqdm[Any]:
    total = getattr(items, "__len__", lambda: None)()
    return tqdm(total=total, desc=f"Encoding {what}", unit="", disable=not show)
