"""Qwen2-VL's vision tower with loaded weights, for inference only.

It computes the same sums as transformers' own code with less memory traffic: positions are rotated
in place, residual sums are part of the matrix products, images of one size need one call, and the
host does not wait for the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as fn

from vdr_integrations.encoders.forward.matrix_products import Products, choose_products
from vdr_integrations.encoders.forward.rotary import (
    RotaryTables,
    inverse_frequencies,
    rotate_,
    vision_tables,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.encoders.forward.model_sizes import VisionSizes

__all__ = ["VisionBlock", "VisionTower"]

_QUICK_GELU = 1.702
_THETA = 10_000.0


class VisionTower:
    """From patches to visual tokens.

    Attributes:
        blocks: Its blocks, in the order of the computation.
    """

    attention = "sdpa"

    def __init__(self, tower: Any, sizes: VisionSizes) -> None:  # noqa: ANN401  # modules
        """Use the weights of ``Qwen2VL.visual``.

        Its patch embedding is a ``BytePatchEmbedding``.
        """
        self._embed = tower.patch_embed
        self.blocks = [VisionBlock(block, sizes) for block in tower.blocks]
        self._norm = tower.merger.ln_q
        self._merger = tower.merger.mlp
        self._products = choose_products(tower.merger.mlp[0].weight)
        per_axis = sizes.embed_dim // sizes.num_heads // 2
        self._inverse = inverse_frequencies(per_axis, _THETA, self._norm.weight.device)
        self._merged = sizes.embed_dim * sizes.spatial_merge_size**2

    def __call__(self, patches: torch.Tensor, positions: torch.Tensor, images: int) -> torch.Tensor:
        """Visual tokens of images that all have the same number of patches.

        Args:
            patches: uint8 (images * patches, 588), on the device.
            positions: int (images * patches, 2): rows and columns, on the device.
            images: Number of images.

        Returns:
            (images * visual tokens, hidden size of the decoder).
        """
        x = self._embed(patches)
        tables = vision_tables(positions, self._inverse)
        products = self._products.over(len(x) // images)
        for block in self.blocks:
            x = block(x, tables, images, products)
        into, activation, out = self._merger
        hidden = products.linear(self._norm(x).view(-1, self._merged), into)
        return products.linear(activation(hidden), out)


class VisionBlock:
    """Attention among the patches of an image, then the MLP."""

    def __init__(self, block: Any, sizes: VisionSizes) -> None:  # noqa: ANN401
        self._norms: Sequence[Any] = (block.norm1, block.norm2)
        attention, mlp = block.attn, block.mlp
        self._qkv = attention.qkv
        self._out = attention.proj
        self._heads = sizes.num_heads
        self._first, self._second = mlp.fc1, mlp.fc2
        # quick GELU is h * sigmoid(1.702 h), that is silu(1.702 h) / 1.702; both factors go into
        # the matrix products around it.
        self._first_bias = self._first.bias * _QUICK_GELU

    def __call__(
        self, x: torch.Tensor, tables: RotaryTables, images: int, products: Products
    ) -> torch.Tensor:
        """Change (patches, width) in place."""
        count, width = x.shape
        qkv = products.linear(self._norms[0](x), self._qkv).view(count, 3 * self._heads, -1)
        rotate_(qkv[:, : 2 * self._heads], tables)
        query, key, value = (
            part.view(images, count // images, self._heads, -1).transpose(1, 2)
            for part in qkv.split(self._heads, dim=1)
        )
        seen = products.attention(query, key, value).transpose(1, 2).reshape(count, width)
        x = products.add_(x, seen, self._out)
        hidden = products.scaled_linear(
            self._norms[1](x), self._first, scale=_QUICK_GELU, scaled_bias=self._first_bias
        )
        fn.silu(hidden, inplace=True)
        return products.add_(x, hidden, self._second, scale=1 / _QUICK_GELU)
