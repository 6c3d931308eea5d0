"""Weights of 8 bits each: half the memory of bfloat16, and vectors that differ a little.

Only what is stored is smaller. Each matrix is unpacked when it is its turn, so products run in the
model's own dtype and on any device.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as fn
from torch import nn

__all__ = ["PACKINGS", "Packing", "pack"]

Packing = Literal["int8", "float8"]
PACKINGS: dict[str, Packing] = {"int8": "int8", "float8": "float8", "fp8": "float8"}

_FORMATS = {"int8": (torch.int8, 127.0), "float8": (torch.float8_e4m3fn, 448.0)}
"""The format of each, and its largest number."""
_SMALLEST = 1e-12
"""Scale of a row of zeros."""


class _PackedLinear(nn.Module):
    """Stands in for ``nn.Linear``; each row of its matrix has a scale.

    Numbers and scales are kept as the integers that their bits are, so that ``Module.to`` moves
    them and leaves their formats alone.
    """

    bits: torch.Tensor
    scale_bits: torch.Tensor
    like: torch.Tensor

    def __init__(self, linear: nn.Linear, packing: Packing) -> None:
        super().__init__()
        self._format, largest = _FORMATS[packing]
        rows = linear.weight.detach().float()
        scale = (rows.abs().amax(dim=1, keepdim=True) / largest).clamp(min=_SMALLEST)
        scaled = rows / scale
        packed = (scaled.round() if packing == "int8" else scaled).to(self._format)
        self.register_buffer("bits", packed.view(torch.uint8), persistent=False)
        self.register_buffer("scale_bits", scale.view(torch.int32), persistent=False)
        self.register_buffer("like", linear.weight.new_empty(0), persistent=False)
        self.bias = linear.bias

    @property
    def weight(self) -> torch.Tensor:
        """(outputs, inputs) in the model's dtype, unpacked for whoever asks."""
        scale = self.scale_bits.view(torch.float32)
        return (self.bits.view(self._format).float() * scale).to(self.like.dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As ``nn.Linear``."""
        return fn.linear(x, self.weight, self.bias)


class _HalfEmbedding(nn.Module):
    """Stands in for ``nn.Embedding``: bfloat16 as it was published, whatever the model's dtype.

    Rows are looked up, not multiplied, so 8 bits would save little and cost most.
    """

    bits: torch.Tensor
    like: torch.Tensor

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        weight = embedding.weight.detach().to(torch.bfloat16)
        self.register_buffer("bits", weight.view(torch.int16), persistent=False)
        self.register_buffer("like", embedding.weight.new_empty(0), persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """As ``nn.Embedding``."""
        return self.bits[ids].view(torch.bfloat16).to(self.like.dtype)


def pack(model: nn.Module, packing: Packing) -> None:
    """Replace the matrices of a model, one at a time; whatever else stays."""
    for name, child in list(model.named_children()):
        if isinstance(child, nn.Linear):
            setattr(model, name, _PackedLinear(child, packing))
        elif isinstance(child, nn.Embedding):
            setattr(model, name, _HalfEmbedding(child))
        else:
            pack(child, packing)
