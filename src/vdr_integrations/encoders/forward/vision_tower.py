"""A vision tower with loaded weights, for inference only.

It computes the same sums as transformers' own code with less memory traffic: positions are rotated
in place, residual sums are part of the matrix products, images of one size need one call, and the
host does not wait for the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from vdr_integrations.encoders.forward.matrix_products import Products, choose_products
from vdr_integrations.encoders.forward.rotary import (
    RotaryTables,
    inverse_frequencies,
    rotate_,
    vision_tables,
)
from vdr_integrations.encoders.forward.vision_mlps import Merger
from vdr_integrations.encoders.preprocessing.window_order import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vdr_integrations.encoders.forward.model_sizes import VisionSizes
    from vdr_integrations.encoders.forward.vision_mlps import VisionMlp

__all__ = ["VISION_THETA", "VisionBlock", "VisionTower", "tower_with_one_merger"]

VISION_THETA = 10_000.0
"""Base of the frequencies of rotary positions, in every published tower."""


class VisionTower:
    """From patches to visual tokens.

    Attributes:
        blocks: Its blocks, in the order of the computation.
    """

    attention = "sdpa"

    def __init__(
        self,
        sizes: VisionSizes,
        *,
        embed: Any,  # noqa: ANN401  # a module
        blocks: Sequence[VisionBlock],
        merger: Merger,
        like: torch.Tensor,
        place_: Callable[[torch.Tensor, torch.Tensor, int], object] | None = None,
        deepstack: Sequence[Merger] = (),
    ) -> None:
        """Put the parts of a family's tower together.

        Args:
            sizes: Of the tower.
            embed: A ``BytePatchEmbedding``.
            blocks: Its blocks.
            merger: To visual tokens.
            like: A matrix of the tower, for its device and format.
            place_: Adds to patches, in place, what is learned of their positions: it gets patches,
                positions and the number of images. None if nothing is added.
            deepstack: A merger for each of the sizes' ``deepstack_blocks``.
        """
        self._sizes = sizes
        self._embed = embed
        self.blocks = blocks
        self._merger = merger
        self._place_ = place_
        self._deepstack = dict(zip(sizes.deepstack_blocks, deepstack, strict=True))
        self._products = choose_products(like)
        per_axis = sizes.embed_dim // sizes.num_heads // 2
        self._inverse = inverse_frequencies(per_axis, VISION_THETA, like.device)

    def __call__(
        self,
        patches: torch.Tensor,
        positions: torch.Tensor,
        images: int,
        grid: tuple[int, int],
    ) -> torch.Tensor:
        """Visual tokens of images that all have the same number of patches.

        Args:
            patches: uint8 (images * patches, bytes of a patch), on the device.
            positions: int (images * patches, 2): rows and columns, on the device.
            images: Number of images.
            grid: Patches down and across of the first image. A tower with windows needs the same
                for all of them.

        Returns:
            (images * visual tokens, hidden size of the decoder), with deepstack (..., hidden size
            times 1 + number of deepstack mergers): what goes into the decoder, then what its
            first layers get.
        """
        x = self._embed(patches)
        if self._place_ is not None:
            self._place_(x, positions, images)
        tables = vision_tables(positions, self._inverse)
        count = len(x) // images
        products = self._products.over(count)
        whole = [Span(start=0, windows=1, patches=count)]
        sizes, windows = self._sizes, self._sizes.spans(grid)
        deep: list[torch.Tensor] = []
        for n, block in enumerate(self.blocks):
            spans = whole if n in sizes.whole_page_blocks else windows
            x = block(x, tables, images, products, spans)
            if n in self._deepstack:
                deep.append(self._deepstack[n](x, products))
        visual = self._merger(x, products)
        if deep:
            visual = torch.cat([visual, *deep], dim=-1)
        return (
            self._line_by_line(visual, positions, images, grid) if sizes.window_tokens else visual
        )

    def _line_by_line(
        self, visual: torch.Tensor, positions: torch.Tensor, images: int, grid: tuple[int, int]
    ) -> torch.Tensor:
        """Visual tokens in the order of the page, not of its windows."""
        side = self._sizes.spatial_merge_size
        tokens = len(visual) // images
        first = positions[: tokens * side**2 : side**2] // side
        lines = torch.empty_like(visual).view(images, tokens, -1)
        lines[:, first[:, 0] * (grid[1] // side) + first[:, 1]] = visual.view(images, tokens, -1)
        return lines.view(visual.shape)


class VisionBlock:
    """Attention among the patches of an image or of a window of it, then the MLP."""

    def __init__(self, block: Any, sizes: VisionSizes, mlp: VisionMlp) -> None:  # noqa: ANN401
        self._norms: Sequence[Any] = (block.norm1, block.norm2)
        self._qkv = block.attn.qkv
        self._out = block.attn.proj
        self._heads = sizes.num_heads
        self._mlp = mlp

    def __call__(
        self,
        x: torch.Tensor,
        tables: RotaryTables,
        images: int,
        products: Products,
        spans: Sequence[Span],
    ) -> torch.Tensor:
        """Change (patches, width) in place."""
        count, width = x.shape
        qkv = products.linear(self._norms[0](x), self._qkv).view(count, 3 * self._heads, -1)
        rotate_(qkv[:, : 2 * self._heads], tables)
        parts = [
            part.view(images, count // images, self._heads, -1)
            for part in qkv.split(self._heads, dim=1)
        ]
        if len(spans) == 1 and spans[0].windows == 1:
            query, key, value = (part.transpose(1, 2) for part in parts)
            seen = products.attention(query, key, value).transpose(1, 2).reshape(count, width)
        else:
            seen = _in_windows(parts, products, spans).view(count, width)
        x = products.add_(x, seen, self._out)
        return self._mlp.add_(x, self._norms[1](x), products)


def tower_with_one_merger(
    tower: Any,  # noqa: ANN401  # modules
    sizes: VisionSizes,
    mlp: Callable[[Any], VisionMlp],
) -> VisionTower:
    """The tower of Qwen2-VL and Qwen2.5-VL, which differ in MLPs, norms and windows.

    Args:
        tower: Modules with the weights, whose merger is a ``PatchMergerTree``.
        sizes: Of the tower.
        mlp: Computes with the weights of a block's MLP.
    """
    first, _, second = tower.merger.mlp
    return VisionTower(
        sizes,
        embed=tower.patch_embed,
        blocks=[VisionBlock(block, sizes, mlp(block.mlp)) for block in tower.blocks],
        merger=Merger(
            norm=tower.merger.ln_q, first=first, second=second, merged_width=sizes.merged_width
        ),
        like=first.weight,
    )


def _in_windows(
    parts: Sequence[torch.Tensor], products: Products, spans: Sequence[Span]
) -> torch.Tensor:
    """Attention within windows, in the shape of each part: (images, patches, heads, ...)."""
    images, _, heads, dimension = parts[0].shape
    seen = torch.empty_like(parts[0], memory_format=torch.contiguous_format)
    for span in spans:
        some = slice(span.start, span.start + span.windows * span.patches)
        query, key, value = (
            part[:, some].reshape(-1, span.patches, heads, dimension).transpose(1, 2)
            for part in parts
        )
        found = products.attention(query, key, value).transpose(1, 2)
        seen[:, some] = found.reshape(images, -1, heads, dimension)
    return seen
