"""The processes that one process started, and the memory that it used (Linux)."""

from __future__ import annotations

import os
import select
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

__all__ = [
    "children_of",
    "few_addresses_left",
    "memory_peak_bytes",
    "processes_of_session",
    "reset_memory_peak",
    "wait_for_the_end_of",
]

_PROC = Path("/proc")
_PARENT, _SESSION = 1, 3
_KIBIBYTE = 1024
_TRACKER = b"resource_tracker"
"""A helper of multiprocessing and of loky, which ends when the process that started it ends."""


def children_of(process_id: int) -> set[int]:
    """Processes that run, and that it or its children started.

    Zombies and resource trackers are not counted.
    """
    parents = {
        int(entry.name): int(status[_PARENT])
        for entry in _PROC.iterdir()
        if entry.name.isdigit() and (status := _stat(entry))
    }
    found: set[int] = set()
    fresh = {process_id}
    while fresh:
        fresh = {one for one, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def processes_of_session(session_id: int) -> set[int]:
    """Processes that run in a session: what its leader started, also when that has ended."""
    return {
        int(entry.name)
        for entry in _PROC.iterdir()
        if entry.name.isdigit() and _stat(entry)[_SESSION : _SESSION + 1] == [str(session_id)]
    }


def wait_for_the_end_of(process_ids: Iterable[int], *, patience_s: float) -> set[int]:
    """Wait until these processes have ended; returns those that still run then."""
    until = time.monotonic() + patience_s
    return {one for one in process_ids if not _ends(one, until)}


def _ends(process_id: int, until: float) -> bool:
    try:
        descriptor = os.pidfd_open(process_id)
    except ProcessLookupError:
        return True
    try:
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        return bool(ended.poll(max(0.0, until - time.monotonic()) * 1000))
    finally:
        os.close(descriptor)


def _stat(entry: Path) -> list[str]:
    """State, parent, group, session, ... of a process (proc(5)); empty if it has ended."""
    try:
        status = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        arguments = (entry / "cmdline").read_bytes()
    except OSError:
        return []
    found = status.rpartition(")")[2].split()
    return [] if found[0] == "Z" or _TRACKER in arguments else found


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
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
