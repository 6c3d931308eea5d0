"""Limits that a process sets itself before it opens files of others."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
from functools import cache

from vdr_integrations.pages.processes.file_rights import forbid_writing
from vdr_integrations.pages.processes.system_calls import forbid_network_and_programs

__all__ = ["address_space_bytes", "begin_page", "confine"]

_MOST_FILES = 64
_PR_SET_PDEATHSIG = 1


def confine(*, memory_bytes: int | None, parent_id: int) -> None:
    """Limit this process for good, as far as its system can.

    It writes no file and no core dump, opens few files, ends with its parent, and has neither
    network nor other programs nor other processes (Linux).

    Args:
        memory_bytes: Address space; None leaves it to the parent, which watches memory.
        parent_id: Process that started this one.
    """
    if sys.platform == "win32":
        return
    _end_with_parent(parent_id)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches it too; its parent ends it
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    import resource

    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _MOST_FILES)
    if memory_bytes is not None:
        _limit(resource.RLIMIT_AS, memory_bytes)
    forbid_writing()
    forbid_network_and_programs()


def begin_page(cpu_s: float) -> None:
    """Let this process end when it has used this much CPU time from now on."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, cpu_s)


def address_space_bytes() -> int:
    """The address space that this process takes; 0 where the system does not tell. Linux."""
    descriptor = _statm()
    if descriptor is None:
        return 0
    return int(os.pread(descriptor, 64, 0).split()[0]) * mmap.PAGESIZE


@cache
def _statm() -> int | None:
    """A file that is asked for each page: it stays open."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _end_with_parent(parent_id: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_id:  # it ended before that
        os._exit(1)


def _limit(kind: int, most: int) -> None:
    import resource

    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(kind, (most, most))
