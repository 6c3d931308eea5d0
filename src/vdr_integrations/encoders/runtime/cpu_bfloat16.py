"""How fast this machine's CPU multiplies bfloat16."""

from __future__ import annotations

import platform
from enum import Enum
from typing import Any

import torch

__all__ = ["Bfloat16OnCpu", "bfloat16_on_this_cpu"]


class Bfloat16OnCpu(Enum):
    """The speed of products of bfloat16 on a CPU, compared with float32."""

    FASTER = "faster"
    """AMX: every product is faster, also in attention."""
    FASTER_BUT_FOR_ATTENTION = "faster but for attention"
    """AMD's AVX512-BF16 (Zen 4): 210 GFLOP/s a core, float32 90; in torch's attention it is not
    faster than float32."""
    SLOWER = "slower"
    """Intel's AVX512-BF16 without AMX (75 GFLOP/s a core, float32 130), and older CPUs, which
    emulate bfloat16."""
    UNKNOWN = "unknown"
    """Not x86, or a version of torch that does not say what the CPU has (before 2.11)."""

    @property
    def is_faster(self) -> bool:
        """Whether a model as a whole is faster in bfloat16."""
        return self in {Bfloat16OnCpu.FASTER, Bfloat16OnCpu.FASTER_BUT_FOR_ATTENTION}


def bfloat16_on_this_cpu() -> Bfloat16OnCpu:
    """The class of this CPU; the figures above are this package's own (docs/performance.md)."""
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if platform.machine().lower() not in {"x86_64", "amd64"} or not known:
        return Bfloat16OnCpu.UNKNOWN
    if known.get("amx_bf16"):
        return Bfloat16OnCpu.FASTER
    is_intel = "intel" in str(known.get("cpu_name", "")).lower()
    if is_intel or not known.get("avx512_bf16"):
        return Bfloat16OnCpu.SLOWER
    return Bfloat16OnCpu.FASTER_BUT_FOR_ATTENTION
