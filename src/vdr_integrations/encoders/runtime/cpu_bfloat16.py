"""What this machine's CPU does with bfloat16."""

from __future__ import annotations

import platform
from enum import Enum
from typing import Any

import torch

__all__ = ["Bfloat16OnCpu", "bfloat16_on_this_cpu"]


class Bfloat16OnCpu(Enum):
    """How products of bfloat16 compare with those of float32 on a CPU."""

    FASTER = "faster"
    """AMX: every product, attention's too."""
    FASTER_BUT_FOR_ATTENTION = "faster but for attention"
    """AMD's AVX512-BF16 (Zen 4): 210 GFLOP/s a core beside 90, and in torch's attention no more
    than in float32."""
    SLOWER = "slower"
    """Intel's AVX512-BF16 without AMX (75 beside 130), and emulated on CPUs below that."""
    UNKNOWN = "unknown"
    """Not x86, or a torch that does not say what the CPU has (before 2.11)."""

    @property
    def is_faster(self) -> bool:
        """Whether a model as a whole is faster in bfloat16."""
        return self in {Bfloat16OnCpu.FASTER, Bfloat16OnCpu.FASTER_BUT_FOR_ATTENTION}


def bfloat16_on_this_cpu() -> Bfloat16OnCpu:
    """Which of them this CPU is; the figures are this package's own (docs/performance.md)."""
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if platform.machine().lower() not in {"x86_64", "amd64"} or not known:
        return Bfloat16OnCpu.UNKNOWN
    if known.get("amx_bf16"):
        return Bfloat16OnCpu.FASTER
    is_intel = "intel" in str(known.get("cpu_name", "")).lower()
    if is_intel or not known.get("avx512_bf16"):
        return Bfloat16OnCpu.SLOWER
    return Bfloat16OnCpu.FASTER_BUT_FOR_ATTENTION
