"""Qwen2.5-VL: what it has that other families have not.

Its vision tower has root-mean-square norms and gated MLPs, and most of its blocks attend within
windows of 112 x 112 pixels. Its decoder is that of Qwen2-VL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from torch import nn

from vdr_integrations.encoders.forward.family import Family
from vdr_integrations.encoders.forward.model_sizes import VisionSizes
from vdr_integrations.encoders.forward.model_tree import (
    PatchMergerTree,
    VisionBlockTree,
    VisionTree,
    root_mean_square_norm,
)
from vdr_integrations.encoders.forward.qwen2_vl import QWEN2_VL
from vdr_integrations.encoders.forward.vision_mlps import GatedMlp
from vdr_integrations.encoders.forward.vision_tower import VisionTower, tower_with_one_merger

if TYPE_CHECKING:
    from vdr_integrations.encoders.forward.config_facts import ConfigFacts

__all__ = ["QWEN2_5_VL"]

# What transformers assumes where a configuration says nothing.
_VISION = {
    "depth": 32,
    "hidden_size": 3584,
    "intermediate_size": 3420,
    "num_heads": 16,
    "in_channels": 3,
    "patch_size": 14,
    "temporal_patch_size": 2,
    "spatial_merge_size": 2,
    "out_hidden_size": 3584,
    "window_size": 112,
}
_WHOLE_PAGE_BLOCKS = (7, 15, 23, 31)


def _vision_sizes(facts: ConfigFacts, width: int) -> VisionSizes:
    facts.must_be("hidden_act", "silu")
    facts.must_be("in_channels", 3)
    counts: dict[str, Any] = facts.counts(_VISION)
    out, window = counts.pop("out_hidden_size"), counts.pop("window_size")
    embed_dim, mlp_width = counts.pop("hidden_size"), counts.pop("intermediate_size")
    facts.check_widths(
        width=("hidden_size", embed_dim),
        out=("out_hidden_size", out),
        heads=counts["num_heads"],
        decoder=width,
    )
    token = counts["patch_size"] * counts["spatial_merge_size"]
    if window < token:
        facts.refuse("window_size", window, f"at least {token}, the side of a visual token")
    return VisionSizes(
        embed_dim=embed_dim,
        mlp_width=mlp_width,
        # As transformers rounds it: first by the merge, then by the patch.
        window_tokens=window // counts["spatial_merge_size"] // counts["patch_size"],
        # Numbers of blocks that the tower has not are without effect.
        whole_page_blocks=facts.numbers("fullatt_block_indexes", _WHOLE_PAGE_BLOCKS),
        **counts,
    )


class _Tree(VisionTree):
    def __init__(self, sizes: VisionSizes, out: int) -> None:
        super().__init__(sizes, has_bias=False)
        norm = root_mean_square_norm
        self.blocks = nn.ModuleList(
            VisionBlockTree(sizes, mlp=_MlpTree(sizes), norm=norm) for _ in range(sizes.depth)
        )
        self.merger = PatchMergerTree(sizes, out, norm=norm)


class _MlpTree(nn.Module):
    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(sizes.embed_dim, sizes.mlp_width)
        self.up_proj = nn.Linear(sizes.embed_dim, sizes.mlp_width)
        self.down_proj = nn.Linear(sizes.mlp_width, sizes.embed_dim)


def _vision_tower(tower: Any, sizes: VisionSizes) -> VisionTower:  # noqa: ANN401  # modules
    return tower_with_one_merger(
        tower, sizes, lambda mlp: GatedMlp(mlp.gate_proj, mlp.up_proj, mlp.down_proj)
    )


QWEN2_5_VL = Family(
    model_type="qwen2_5_vl",
    title="Qwen2.5-VL",
    stock_model="Qwen2_5_VLModel",
    decoder=QWEN2_VL.decoder,
    read_vision_sizes=_vision_sizes,
    vision_tree=_Tree,
    vision_tower=_vision_tower,
    adapted=re.compile(
        r"blocks\.\d+\.(?:attn\.(?:qkv|proj)|mlp\.(?:gate|up|down)_proj)|merger\.mlp\.[02]"
    ),
)
"""ColQwen2.5, ColNomic and Nomic's multimodal embedding models."""
