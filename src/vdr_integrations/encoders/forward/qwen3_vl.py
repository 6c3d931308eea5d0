"""Qwen3-VL: what it has that other families have not.

Its patches are 16 x 16 pixels, and learned positions are added to them. The decoder's first layers
get visual tokens of earlier blocks too (deepstack). Heads of the decoder have a size of their own,
their queries and keys are normalised, and the three axes of M-RoPE take turns.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vdr_integrations.encoders.forward.decoder_sizes import DecoderFamily
from vdr_integrations.encoders.forward.family import Family
from vdr_integrations.encoders.forward.model_sizes import VisionSizes
from vdr_integrations.encoders.forward.model_tree import (
    VisionBlockTree,
    VisionTree,
    empty_embedding,
    layer_norm,
)
from vdr_integrations.encoders.forward.vision_mlps import Merger, TanhGeluMlp
from vdr_integrations.encoders.forward.vision_tower import VisionBlock, VisionTower

if TYPE_CHECKING:
    from vdr_integrations.encoders.forward.config_facts import ConfigFacts

__all__ = ["QWEN3_VL"]

# What transformers assumes where a configuration says nothing.
_VISION = {
    "depth": 27,
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_heads": 16,
    "in_channels": 3,
    "patch_size": 16,
    "temporal_patch_size": 2,
    "spatial_merge_size": 2,
    "out_hidden_size": 3584,
    "num_position_embeddings": 2304,
}
_DEEPSTACK_BLOCKS = (8, 16, 24)
_TEXT = {
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 128000,
}


def _vision_sizes(facts: ConfigFacts, width: int) -> VisionSizes:
    facts.must_be("hidden_act", "gelu_pytorch_tanh")
    facts.must_be("in_channels", 3)
    counts: dict[str, Any] = facts.counts(_VISION)
    out, places = counts.pop("out_hidden_size"), counts.pop("num_position_embeddings")
    embed_dim, mlp_width = counts.pop("hidden_size"), counts.pop("intermediate_size")
    facts.check_widths(
        width=("hidden_size", embed_dim),
        out=("out_hidden_size", out),
        heads=counts["num_heads"],
        decoder=width,
    )
    side = math.isqrt(places)
    if side**2 != places:
        facts.refuse("num_position_embeddings", places, "the square of a whole number")
    return VisionSizes(
        embed_dim=embed_dim,
        mlp_width=mlp_width,
        position_rows=side,
        deepstack_blocks=facts.rising_numbers(
            "deepstack_visual_indexes", _DEEPSTACK_BLOCKS, below=counts["depth"]
        ),
        **counts,
    )


class _Tree(VisionTree):
    def __init__(self, sizes: VisionSizes, out: int) -> None:
        super().__init__(sizes, has_bias=True)
        self.pos_embed = empty_embedding(sizes.position_rows**2, sizes.embed_dim)
        self.blocks = nn.ModuleList(
            VisionBlockTree(sizes, mlp=_MlpTree(sizes), norm=layer_norm) for _ in range(sizes.depth)
        )
        self.merger = _MergerTree(sizes, out, norm_after=False)
        self.deepstack_merger_list = nn.ModuleList(
            _MergerTree(sizes, out, norm_after=True) for _ in sizes.deepstack_blocks
        )


class _MlpTree(nn.Module):
    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        self.linear_fc1 = nn.Linear(sizes.embed_dim, sizes.mlp_width)
        self.linear_fc2 = nn.Linear(sizes.mlp_width, sizes.embed_dim)


class _MergerTree(nn.Module):
    """From several patches to a visual token."""

    def __init__(self, sizes: VisionSizes, out: int, *, norm_after: bool) -> None:
        super().__init__()
        merged = sizes.merged_width
        self.norm = layer_norm(merged if norm_after else sizes.embed_dim)
        self.linear_fc1 = nn.Linear(merged, merged)
        self.linear_fc2 = nn.Linear(merged, out)


class _LearnedPositions:
    """Adds to each patch the vector of its place, between the nearest four of a square table."""

    def __init__(self, table: Any, rows: int) -> None:  # noqa: ANN401  # a module
        self._table, self._rows = table, rows

    def __call__(self, x: torch.Tensor, positions: torch.Tensor, images: int) -> None:
        last = positions.view(images, -1, 2).amax(dim=1, keepdim=True).clamp(min=1)
        # A page has the first and the last row of the table, whatever its number of patches.
        place = positions.view(images, -1, 2).float() * (self._rows - 1) / last
        lower = place.floor()
        beyond = (place - lower).view(-1, 2)
        near = lower.long().view(-1, 2)
        far = (near + 1).clamp(max=self._rows - 1)
        found = torch.zeros(1, device=x.device)
        for rows, row_weight in ((near[:, 0], 1 - beyond[:, 0]), (far[:, 0], beyond[:, 0])):
            for columns, weight in ((near[:, 1], 1 - beyond[:, 1]), (far[:, 1], beyond[:, 1])):
                vectors = self._table(rows * self._rows + columns)
                found = found + vectors * (row_weight * weight)[:, None]
        x.add_(found.to(x.dtype))


def _vision_tower(tower: Any, sizes: VisionSizes) -> VisionTower:  # noqa: ANN401  # modules
    def merger(tree: Any, *, norm_after: bool) -> Merger:  # noqa: ANN401
        return Merger(
            norm=tree.norm,
            first=tree.linear_fc1,
            second=tree.linear_fc2,
            merged_width=sizes.merged_width,
            norm_after=norm_after,
        )

    return VisionTower(
        sizes,
        embed=tower.patch_embed,
        blocks=[
            VisionBlock(block, sizes, TanhGeluMlp(block.mlp.linear_fc1, block.mlp.linear_fc2))
            for block in tower.blocks
        ],
        merger=merger(tower.merger, norm_after=False),
        like=tower.merger.linear_fc1.weight,
        place_=_LearnedPositions(tower.pos_embed, sizes.position_rows),
        deepstack=[merger(one, norm_after=True) for one in tower.deepstack_merger_list],
    )


QWEN3_VL = Family(
    model_type="qwen3_vl",
    title="Qwen3-VL",
    stock_model="Qwen3VLModel",
    decoder=DecoderFamily(
        usual_counts=_TEXT,
        usual_epsilon=1e-6,
        usual_theta=500_000.0,
        usual_sections=(24, 20, 20),
        head_dimension=128,
        interleaved=True,
        attention_bias=False,
        head_norms=True,
    ),
    read_vision_sizes=_vision_sizes,
    vision_tree=_Tree,
    vision_tower=_vision_tower,
    adapted=re.compile(
        r"blocks\.\d+\.(?:attn\.(?:qkv|proj)|mlp\.linear_fc[12])"
        r"|(?:merger|deepstack_merger_list\.\d+)\.linear_fc[12]"
    ),
)
"""Qwen3-VL-Embedding and ColQwen3."""
