"""The processes that one process started, and the memory that it used (Linux)."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["children_of", "few_addresses_left", "memory_peak_bytes", "reset_memory_peak"]

_PROC = Path("/proc")
_KIBIBYTE = 1024
_TRACKER = b"resource_tracker"
"""A helper of multiprocessing and of loky, which ends when the process that started it ends."""


def children_of(process_id: int) -> set[int]:
    """Processes that run, and that it or its children started.

    Zombies and resource trackers are not counted.
    """
    parents = {
        int(entry.name): parent
        for entry in _PROC.iterdir()
        if entry.name.isdigit() and (parent := _parent_of(entry)) is not None
    }
    found: set[int] = set()
    fresh = {process_id}
    while fresh:
        fresh = {one for one, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def _parent_of(entry: Path) -> int | None:
    try:
        status = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        arguments = (entry / "cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return None
    state, parent, *_ = status.rpartition(")")[2].split()
    return None if state == "Z" or _TRACKER in arguments else int(parent)


def reset_memory_peak() -> int:
    """Bytes of memory that this process uses; its peak is counted anew from now on."""
    (_PROC / "self" / "clear_refs").write_text("5", encoding="ascii")
    return memory_peak_bytes()


def memory_peak_bytes() -> int:
    """Most bytes of memory that this process used at a time."""
    return _status("VmHWM")


def _status(key: str) -> int:
    text = (_PROC / "self" / "status").read_text(encoding="ascii")
    return int(text.partition(f"{key}:")[2].split()[0]) * _KIBIBYTE


@contextmanager
def few_addresses_left(count: int) -> Generator[None]:
    """Let this process use ``count`` more bytes of addresses, for the length of the block.

    If the limits of the package do not work, this one saves the machine.
    """
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
