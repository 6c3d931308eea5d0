"""Qwen2-VL's vision tower for batches of equal images, in one dense attention call.

Parameter names below ``blocks`` and ``merger`` are those of ``transformers``. Two things differ
and are undone on export: the patch projection reads one frame (a still image repeats it), and
images of a batch all have the same grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

PATCH = 14
MERGE = 2
CELL = PATCH * MERGE
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class VisionConfig:
    """Sizes of the vision tower."""

    width: int = 192
    heads: int = 3
    depth: int = 4
    mlp_ratio: int = 4
    hidden: int = 512  # width of the text tower


def patchify(images: Tensor) -> Tensor:
    """uint8 images (B, H, W, 3) -> normalised patches (B, N, 588), ordered cell by cell."""
    batch, height, width, _ = images.shape
    mean = torch.tensor(PIXEL_MEAN, device=images.device) * 255
    std = torch.tensor(PIXEL_STD, device=images.device) * 255
    x = (images.float() - mean) / std
    x = x.view(batch, height // CELL, MERGE, PATCH, width // CELL, MERGE, PATCH, 3)
    return x.permute(0, 1, 4, 2, 5, 7, 3, 6).reshape(batch, -1, 3 * PATCH * PATCH)


def cell_order(grid: Tensor) -> Tensor:
    """Reorder a per-patch array (B, rows, columns, ...) into patchify's order (B, N, ...)."""
    batch, rows, columns, *rest = grid.shape
    x = grid.view(batch, rows // MERGE, MERGE, columns // MERGE, MERGE, *rest)
    return x.transpose(2, 3).reshape(batch, rows * columns, *rest)


def rotary_table(rows: int, columns: int, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (N, head_dim) of the 2-D rotary embedding, in patchify's order."""
    inverse = 1.0 / 10000 ** (torch.arange(0, head_dim // 2, 2).float() / (head_dim // 2))
    y = torch.arange(rows).view(1, rows, 1).expand(1, rows, columns)
    x = torch.arange(columns).view(1, 1, columns).expand(1, rows, columns)
    position = torch.stack([cell_order(y.contiguous())[0], cell_order(x.contiguous())[0]], 1)
    angles = (position[:, :, None] * inverse).flatten(1)
    angles = torch.cat([angles, angles], 1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding as Qwen2-VL applies it (halves are paired)."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


class Attention(nn.Module):
    """Full attention over all patches of an image."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Patches (B, N, width) -> what they attend to."""
        batch, count, width = x.shape
        qkv = self.qkv(x).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query = rotate(qkv[0], cos, sin).to(qkv.dtype)
        key = rotate(qkv[1], cos, sin).to(qkv.dtype)
        out = fn.scaled_dot_product_attention(query, key, qkv[2])
        return self.proj(out.transpose(1, 2).reshape(batch, count, width))


class Mlp(nn.Module):
    """Two layers with Qwen2-VL's quick GELU."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """Patches (B, N, width) -> their update."""
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x))


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=1e-6)
        self.norm2 = nn.LayerNorm(config.width, eps=1e-6)
        self.attn = Attention(config)
        self.mlp = Mlp(config.width, config.mlp_ratio * config.width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Patches (B, N, width) -> the same after attention and MLP."""
        x = x + self.attn(self.norm1(x), cos, sin)
        return x + self.mlp(self.norm2(x))


class Merger(nn.Module):
    """Joins the 2 x 2 patches of a cell into one visual token."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        inner = config.width * MERGE**2
        self.ln_q = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(inner, inner), nn.GELU(), nn.Linear(inner, config.hidden)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Patches (B, N, width) -> visual tokens (B, N / 4, hidden)."""
        batch, count, width = x.shape
        return self.mlp(self.ln_q(x).view(batch, count // MERGE**2, width * MERGE**2))


class Vision(nn.Module):
    """The tower: patches -> per-patch features; ``merger`` turns those into visual tokens."""

    def __init__(self, config: VisionConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or VisionConfig()
        self.patch_embed = nn.Linear(3 * PATCH * PATCH, config.width, bias=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.merger = Merger(config)
        self._tables: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.patch_embed.weight, std=1 / math.sqrt(3 * PATCH * PATCH))
        for block in self.blocks:
            look_around(block.attn, config)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 images (B, H, W, 3) -> features (B, N, width)."""
        rows, columns = images.shape[1] // PATCH, images.shape[2] // PATCH
        if (rows, columns) not in self._tables:
            head_dim = self.config.width // self.config.heads
            self._tables[rows, columns] = rotary_table(rows, columns, head_dim)
        cos, sin = (t.to(images.device) for t in self._tables[rows, columns])
        x = self.patch_embed(patchify(images))
        for block in self.blocks:
            x = block(x, cos, sin)
        return x


@torch.no_grad()
def look_around(attention: Attention, config: VisionConfig, strength: float = 2.5) -> None:
    """Start every head looking at a near patch: its own, one to the left, one to the right.

    Constant query and key vectors (the biases) make a score that depends on the offset between
    two patches alone; a handful of rotary frequencies gives it one peak. Random heads would
    have to find locality first, and would lose it again when crops become whole pages.
    """
    head_dim = config.width // config.heads
    quarter, used = head_dim // 4, 6
    inverse = 1.0 / 10000 ** (torch.arange(quarter).float() / quarter)
    bias = attention.qkv.bias.view(3, config.heads, 2, 2, quarter)  # q/k/v, head, half, y/x, freq
    for head in range(config.heads):
        shift = (0.0, -1.5, 1.5)[head % 3]
        bias[1, head, :, :, :used] = strength * math.sqrt(0.5)
        for axis, offset in ((0, 0.0), (1, shift)):
            # rotating the query back by the offset moves the peak there
            angle = math.pi / 4 + inverse[:used] * offset
            bias[0, head, 0, axis, :used] = strength * torch.cos(angle)
            bias[0, head, 1, axis, :used] = strength * torch.sin(angle)
