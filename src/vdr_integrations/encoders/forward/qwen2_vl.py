"""Qwen2-VL: what it has that other families have not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from torch import nn

from vdr_integrations.encoders.forward.decoder_sizes import DecoderFamily
from vdr_integrations.encoders.forward.family import Family
from vdr_integrations.encoders.forward.model_sizes import VisionSizes
from vdr_integrations.encoders.forward.model_tree import (
    PatchMergerTree,
    VisionBlockTree,
    VisionTree,
    layer_norm,
)
from vdr_integrations.encoders.forward.vision_mlps import QuickGeluMlp
from vdr_integrations.encoders.forward.vision_tower import VisionTower, tower_with_one_merger

if TYPE_CHECKING:
    from vdr_integrations.encoders.forward.config_facts import ConfigFacts

__all__ = ["QWEN2_VL"]

# What transformers assumes where a configuration says nothing.
_VISION = {
    "depth": 32,
    "embed_dim": 1280,
    "hidden_size": 3584,
    "mlp_ratio": 4,
    "num_heads": 16,
    "in_channels": 3,
    "patch_size": 14,
    "temporal_patch_size": 2,
    "spatial_merge_size": 2,
}
_TEXT = {
    "vocab_size": 152064,
    "hidden_size": 8192,
    "intermediate_size": 29568,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "max_position_embeddings": 32768,
}


def _vision_sizes(facts: ConfigFacts, width: int) -> VisionSizes:
    facts.must_be("hidden_act", "quick_gelu")
    facts.must_be("in_channels", 3)
    counts: dict[str, Any] = facts.counts(_VISION)
    out, ratio = counts.pop("hidden_size"), counts.pop("mlp_ratio")
    facts.check_widths(
        width=("embed_dim", counts["embed_dim"]),
        out=("hidden_size", out),
        heads=counts["num_heads"],
        decoder=width,
    )
    return VisionSizes(mlp_width=ratio * counts["embed_dim"], **counts)


class _Tree(VisionTree):
    def __init__(self, sizes: VisionSizes, out: int) -> None:
        super().__init__(sizes, has_bias=False)
        self.blocks = nn.ModuleList(
            VisionBlockTree(sizes, mlp=_MlpTree(sizes), norm=layer_norm) for _ in range(sizes.depth)
        )
        self.merger = PatchMergerTree(sizes, out, norm=layer_norm)


class _MlpTree(nn.Module):
    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        self.fc1 = nn.Linear(sizes.embed_dim, sizes.mlp_width)
        self.fc2 = nn.Linear(sizes.mlp_width, sizes.embed_dim)


def _vision_tower(tower: Any, sizes: VisionSizes) -> VisionTower:  # noqa: ANN401  # modules
    return tower_with_one_merger(tower, sizes, lambda mlp: QuickGeluMlp(mlp.fc1, mlp.fc2))


QWEN2_VL = Family(
    model_type="qwen2_vl",
    title="Qwen2-VL",
    stock_model="Qwen2VLModel",
    decoder=DecoderFamily(
        usual_counts=_TEXT,
        usual_epsilon=1e-5,
        usual_theta=1_000_000.0,
        usual_sections=(16, 24, 24),
        head_dimension=None,
        interleaved=False,
        attention_bias=True,
        head_norms=False,
    ),
    read_vision_sizes=_vision_sizes,
    vision_tree=_Tree,
    vision_tower=_vision_tower,
    adapted=re.compile(r"blocks\.\d+\.(?:attn\.(?:qkv|proj)|mlp\.fc[12])|merger\.mlp\.[02]"),
)
"""vdr-2b, DSE, GME, ColQwen2, and the bundled ``nano``."""
