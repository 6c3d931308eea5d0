"""Memory of the device as its driver reports it: this decides whether a card is large enough."""

from __future__ import annotations

import gc
import subprocess

import torch

__all__ = ["DriverMemory"]


class DriverMemory:
    """What this process has taken, context and torch's unused blocks included; None on a CPU.

    torch keeps every block that it ever took until ``empty_cache``: what is taken after some work
    is the most that was taken during it.
    """

    def __init__(self, device: torch.device) -> None:
        """Remember what others had taken; call it before anything is put on the device."""
        self._device = device
        self._others = _used_by_others(device) if device.type == "cuda" else 0
        self._held: dict[str, int] = {}

    def taken(self) -> int | None:
        """Bytes that the driver counts as used, less what was used before we began."""
        if self._device.type != "cuda":
            return None
        torch.cuda.synchronize(self._device)
        free, total = torch.cuda.mem_get_info(self._device)
        return total - free - self._others

    def give_back(self) -> None:
        """Give the blocks that hold nothing back to the driver."""
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            torch.cuda.empty_cache()

    def hold(self, name: str, taken_bytes: int) -> None:
        """Remember what a model's weights take; 0 when they are freed."""
        self._held[name] = taken_bytes

    def gigabytes(self, name: str) -> float | None:
        """What is taken, less the weights of all models but this one."""
        taken = self.taken()
        if taken is None:
            return None
        return (taken - sum(held for other, held in self._held.items() if other != name)) / 1e9


def _used_by_others(device: torch.device) -> int:
    """Asked of ``nvidia-smi``: asking through torch would make a context, which counts."""
    asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    asked.append(f"--id={device.index or 0}")
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20)  # noqa: S603
        return int(said.stdout.split()[0]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return 0
