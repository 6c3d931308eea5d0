"""Machines that have too little of something, as far as a process can tell."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from vdr_integrations.pages.processes.process_pool import close_pools

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["end_processes_at_once", "files_left"]


@contextmanager
def files_left(count: int) -> Generator[None]:
    """Let this process open ``count`` more files at a time, for the length of the block."""
    resource = pytest.importorskip("resource", reason="limits of POSIX")
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


def end_processes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes that this one starts to open files end before they do anything."""
    program = shutil.which("false")
    if program is None:
        pytest.skip("this system has no program that does nothing")
    close_pools()  # one that has been started already would do the work
    monkeypatch.setattr(sys, "executable", program)
