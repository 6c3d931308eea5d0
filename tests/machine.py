"""Machines that have too little of something, as far as a process can tell."""

from __future__ import annotations

import gc
import os
import resource
import sys
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from vdr_integrations.pages.drawing.drawn_page import draw_in_time
from vdr_integrations.pages.drawing.time_limit import LONGEST_LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    import pytest

    from vdr_integrations.pages.drawing.drawn_page import DrawnPage, PageAddress
    from vdr_integrations.types import PixelBudget

__all__ = ["end_drawing_processes_at_once", "files_left", "limit_only"]

_ENDS_AT_ONCE = """
import os, sys
if any("popen_loky" in argument for argument in sys.orig_argv):
    os._exit(1)
"""


@contextmanager
def files_left(count: int) -> Generator[None]:
    """Let this process open ``count`` more files at a time, for the length of the block."""
    gc.collect()  # what could be closed meanwhile would be more
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/dev/fd")))  # noqa: PTH208  # numbers, not paths
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + count + 1, hard))
    taken: list[int] = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(count):
            os.close(taken.pop())
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def end_drawing_processes_at_once(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let processes that this one starts to draw pages end before they do anything."""
    (folder / "sitecustomize.py").write_text(_ENDS_AT_ONCE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *sys.path]))


def limit_only(monkeypatch: pytest.MonkeyPatch, *hanging: int) -> None:
    """Let the pages of these numbers alone have the limit of time that drawing is given.

    However busy this machine is, the others are then drawn.
    """
    limited = partial(_limited, frozenset(hanging))
    monkeypatch.setattr("vdr_integrations.pages.drawing.draw_ahead.draw_in_time", limited)


def _limited(
    hanging: frozenset[int],
    draw: Callable[[PageAddress, PixelBudget], DrawnPage],
    limit_s: float,
    address: PageAddress,
    budget: PixelBudget,
) -> DrawnPage:
    if address.page_number not in hanging:
        limit_s = LONGEST_LIMIT_S
    return draw_in_time(draw, limit_s, address, budget)
