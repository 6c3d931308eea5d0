"""CPUs that torch is made to say it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    import pytest

__all__ = ["AMX", "SLOW", "ZEN_4", "Cpu"]


class Cpu(NamedTuple):
    """What ``torch.cpu.get_capabilities`` says."""

    cpu_name: str
    amx_bf16: bool
    avx512_bf16: bool

    def pretend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let torch say that this is the CPU."""
        monkeypatch.setattr("platform.machine", lambda: "x86_64")
        monkeypatch.setattr(torch.cpu, "get_capabilities", self._asdict, raising=False)


AMX = Cpu("Intel Xeon", amx_bf16=True, avx512_bf16=True)
ZEN_4 = Cpu("AMD EPYC 9004", amx_bf16=False, avx512_bf16=True)
SLOW = (
    Cpu("Intel Xeon", amx_bf16=False, avx512_bf16=True),
    Cpu("Intel(R) Core(TM) i7", amx_bf16=False, avx512_bf16=False),
    Cpu("AMD Ryzen 5", amx_bf16=False, avx512_bf16=False),
)
