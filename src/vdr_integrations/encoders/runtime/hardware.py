"""The devices of this machine and their memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

__all__ = ["Device", "devices", "memory_bytes"]

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Device:
    """A device that torch finds.

    Attributes:
        device: ``cuda:0``, ``mps`` or ``cpu``.
        name: Name of the product; None if torch does not say it.
        memory_bytes: Total memory; None if it is not known.
        free_bytes: Memory that is free now; None if it is not known.
    """

    device: str
    name: str | None = None
    memory_bytes: int | None = None
    free_bytes: int | None = None


def devices() -> list[Device]:
    """All devices that torch finds, best first."""
    found: list[Device] = []
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            name = torch.cuda.get_device_name(number)
            found.append(Device(f"cuda:{number}", name, total, free))
    total, free = memory_bytes()
    if torch.backends.mps.is_available():
        found.append(Device("mps", None, total, free))
    found.append(Device("cpu", f"{torch.get_num_threads()} threads", total, free))
    return found


def memory_bytes() -> tuple[int | None, int | None]:
    """RAM in total and available now, within the limit of a container; None if not known."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None, None
    available: int | None = None
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                available = int(line.split()[1]) * 1024
        limit = _CGROUP_LIMIT.read_text(encoding="ascii").strip()
        if limit.isdecimal():
            total = min(total, int(limit))
            available = None if available is None else min(available, total)
    except OSError:
        pass
    return total, available
