"""Two ways to do the same work, timed in turn in one process."""

from __future__ import annotations

import platform
import statistics
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Comparison", "compare", "cpu_s_of_all", "machine"]


class Comparison:
    """CPU and wall seconds of pairs (ours, theirs)."""

    def __init__(self, cpu: list[tuple[float, float]], wall: list[tuple[float, float]]) -> None:
        """Keep the pairs in the order they were run."""
        self.cpu = cpu
        self.wall = wall

    def __str__(self) -> str:
        """Medians and the median ratio of pairs, which a noisy machine moves least."""
        ours, theirs = (statistics.median(pair[n] for pair in self.cpu) for n in (0, 1))
        ratio = statistics.median(pair[0] / pair[1] for pair in self.cpu)
        wall = statistics.median(pair[0] / pair[1] for pair in self.wall)
        return (
            f"ours {ours:8.3f} CPU s | theirs {theirs:8.3f} CPU s | "
            f"ratio {ratio:.2f} (wall {wall:.2f}), median of {len(self.cpu)} pairs"
        )


def compare(ours: Callable[[], object], theirs: Callable[[], object], *, pairs: int) -> Comparison:
    """Time both, in turn, after one untimed round of each."""
    ours()
    theirs()
    cpu: list[tuple[float, float]] = []
    wall: list[tuple[float, float]] = []
    for _ in range(pairs):
        (cpu_ours, wall_ours), (cpu_theirs, wall_theirs) = _timed(ours), _timed(theirs)
        cpu.append((cpu_ours, cpu_theirs))
        wall.append((wall_ours, wall_theirs))
    return Comparison(cpu, wall)


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def machine() -> str:
    """Processor, Python and versions: what a figure must be read with."""
    import torch

    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"{platform.machine()}, {torch.get_num_threads()} threads "
        f"({torch.backends.cpu.get_cpu_capability()}), {accelerator}; "
        f"Python {platform.python_version()}, {packages}"
    )


def cpu_s_of_all() -> float:
    """CPU time of this process and of its children that run, in seconds."""
    import psutil

    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children())]
    return sum(one.user + one.system for one in times)
