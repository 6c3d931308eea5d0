"""Qwen2-VL's text tower (a Qwen2 decoder with 3-D rotary positions), compact.

Parameter names are those of ``transformers``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from training.vision import rotate


@dataclass(frozen=True)
class TextConfig:
    """Sizes of the text tower."""

    vocabulary: int = 7168
    hidden: int = 512
    layers: int = 2
    heads: int = 8
    inner: int = 1024
    # Visual tokens of an image share their time, and neighbours are to be told apart: rows by the
    # frequencies .81 to .52, columns by .42 and less, while the slowest (.001) tells no positions.
    theta: float = 1000.0
    sections: tuple[int, int, int] = (1, 3, 28)  # time, height, width
    eps: float = 1e-6

    @property
    def head_size(self) -> int:
        """Components of a head's queries, keys and values."""
        return self.hidden // self.heads

    @property
    def slowest(self) -> int:
        """The rotary frequency in which places make no difference."""
        return self.head_size // 2 - 1

    def frequencies(self) -> Tensor:
        """Rotary frequencies (head_size / 2,), radians a position, fast ones first."""
        return 1.0 / self.theta ** (torch.arange(0, self.head_size, 2).float() / self.head_size)


class RmsNorm(nn.Module):
    """Root mean square normalisation."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)


class SelfAttention(nn.Module):
    """Causal attention; ``past`` holds keys and values of a prefix that the batch shares."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.heads, width = config.heads, config.hidden
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """States (B, n, width) -> what they attend to, and keys and values for a cache."""
        batch, count, width = x.shape
        shape = (batch, count, self.heads, -1)
        query = rotate(self.q_proj(x).view(shape).transpose(1, 2), cos, sin)
        key = rotate(self.k_proj(x).view(shape).transpose(1, 2), cos, sin)
        value = self.v_proj(x).view(shape).transpose(1, 2)
        if past is None:
            out = fn.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            prefix = past[0].shape[2]
            key = torch.cat([past[0].expand(batch, -1, -1, -1), key], 2)
            value = torch.cat([past[1].expand(batch, -1, -1, -1), value], 2)
            mask = torch.ones(count, prefix + count, dtype=torch.bool).tril(prefix)
            out = fn.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.o_proj(out.transpose(1, 2).reshape(batch, count, width)), (key, value)


class GatedMlp(nn.Module):
    """SwiGLU."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden, config.inner, bias=False)
        self.up_proj = nn.Linear(config.hidden, config.inner, bias=False)
        self.down_proj = nn.Linear(config.inner, config.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """States (..., width) -> their update."""
        return self.down_proj(fn.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One decoder layer."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config)
        self.mlp = GatedMlp(config)
        self.input_layernorm = RmsNorm(config.hidden, config.eps)
        self.post_attention_layernorm = RmsNorm(config.hidden, config.eps)


class Text(nn.Module):
    """The decoder: embedded tokens with their 3-D positions -> last hidden states."""

    def __init__(self, config: TextConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TextConfig()
        self.embed_tokens = nn.Embedding(config.vocabulary, config.hidden)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RmsNorm(config.hidden, config.eps)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines (count, head_dim) of positions (3, count)."""
        angles = positions[:, :, None].float() * self.config.frequencies()
        parts = angles.split(self.config.sections, -1)
        angles = torch.cat([part[axis] for axis, part in enumerate(parts)], -1)
        angles = torch.cat([angles, angles], -1)
        return angles.cos(), angles.sin()

    def forward(
        self, x: Tensor, positions: Tensor, past: list[tuple[Tensor, Tensor]] | None = None
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Embeddings (B, n, hidden) at ``positions`` (3, n) -> states and the layers' caches."""
        cos, sin = self.rotary(positions)
        caches = []
        for index, layer in enumerate(self.layers):
            attended, cache = layer.self_attn(
                layer.input_layernorm(x), cos, sin, past[index] if past else None
            )
            x = x + attended
            x = x + layer.mlp(layer.post_attention_layernorm(x))
            caches.append(cache)
        return self.norm(x), caches


def text_positions(start: int, count: int) -> Tensor:
    """Positions (3, count) of text tokens that begin at ``start``."""
    return torch.arange(start, start + count).expand(3, count)


def image_positions(start: int, rows: int, columns: int) -> Tensor:
    """Positions (3, rows * columns) of the visual tokens of an image."""
    y = torch.arange(rows).repeat_interleave(columns)
    x = torch.arange(columns).repeat(rows)
    return torch.stack([torch.zeros_like(x), y, x]) + start
