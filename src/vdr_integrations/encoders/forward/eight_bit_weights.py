"""Weights of 8 bits each: half the memory of bfloat16, and vectors that differ a little.

Only the stored weights are smaller. Each matrix is unpacked when it is needed, so products run in
the model's own dtype and on any device.
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
"""The format of each packing, and its largest number."""
_SMALLEST = 1e-12
"""Scale of a row of zeros."""


class _PackedLinear(nn.Module):
    """Replaces ``nn.Linear``; each row of its matrix has a scale.

    Numbers and scales are kept as integers with the same bits, so that ``Module.to`` moves them
    without changing their format.
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
        """(outputs, inputs) in the model's dtype, unpacked at each call."""
        scale = self.scale_bits.view(torch.float32)
        return (self.bits.view(self._format).float() * scale).to(self.like.dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Do what ``nn.Linear`` does."""
        return fn.linear(x, self.weight, self.bias)


class _HalfEmbedding(nn.Module):
    """Replaces ``nn.Embedding``: bfloat16 as published, with any dtype of the model.

    Rows are looked up, not multiplied, so 8 bits would save little and change vectors most.
    """

    bits: torch.Tensor
    like: torch.Tensor

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        weight = embedding.weight.detach().to(torch.bfloat16)
        self.register_buffer("bits", weight.view(torch.int16), persistent=False)
        self.register_buffer("like", embedding.weight.new_empty(0), persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Do what ``nn.Embedding`` does."""
        return self.bits[ids].view(torch.bfloat16).to(self.like.dtype)


def pack(model: nn.Module, packing: Packing) -> None:
    """Replace the matrices of a model, one at a time; nothing else changes."""
    for name, child in list(model.named_children()):
        if isinstance(child, nn.Linear):
            setattr(model, name, _PackedLinear(child, packing))
        elif isinstance(child, nn.Embedding):
            setattr(model, name, _HalfEmbedding(child))
        else:
            pack(child, packing)
