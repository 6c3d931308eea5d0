"""Qwen2-VL's weights as a tree of modules, with the names that transformers gives them.

The modules hold weights. What is computed with them is in ``vision_tower.py`` and ``decoder.py``,
and only norms, matrices and embeddings are called. Make the tree on torch's "meta" device and give
it weights with ``load_state_dict(..., assign=True)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from vdr_integrations.encoders.forward.model_sizes import DecoderSizes, ModelSizes, VisionSizes
    from vdr_integrations.encoders.forward.patch_embedding import BytePatchEmbedding

__all__ = ["Qwen2VL"]

_NORM_EPSILON = 1e-6
"""Of the vision tower; no configuration changes it."""


class Qwen2VL(nn.Module):
    """The backbone: the vision tower and the decoder, without a language-model head."""

    def __init__(self, sizes: ModelSizes) -> None:
        """Make modules of these sizes."""
        super().__init__()
        self.visual = _VisionTower(sizes.vision, out=sizes.decoder.hidden_size)
        self.language_model = _Decoder(sizes.decoder)

    @property
    def device(self) -> torch.device:
        """The device that holds the weights."""
        return self.language_model.norm.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The format of the weights, and of the states between layers."""
        return self.language_model.norm.weight.dtype


class _VisionTower(nn.Module):
    def __init__(self, sizes: VisionSizes, *, out: int) -> None:
        super().__init__()
        self.patch_embed: _PatchEmbedding | BytePatchEmbedding = _PatchEmbedding(sizes)
        self.blocks = nn.ModuleList(_VisionBlock(sizes) for _ in range(sizes.depth))
        self.merger = _Merger(sizes, out=out)


class _PatchEmbedding(nn.Module):
    """As published; ``BytePatchEmbedding`` takes its place."""

    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        kernel = (sizes.temporal_patch_size, sizes.patch_size, sizes.patch_size)
        self.proj = nn.Conv3d(sizes.in_channels, sizes.embed_dim, kernel, kernel, bias=False)


class _VisionBlock(nn.Module):
    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.embed_dim, eps=_NORM_EPSILON)
        self.norm2 = nn.LayerNorm(sizes.embed_dim, eps=_NORM_EPSILON)
        self.attn = _VisionAttention(sizes)
        self.mlp = _VisionMlp(sizes)


class _VisionAttention(nn.Module):
    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        self.qkv = nn.Linear(sizes.embed_dim, 3 * sizes.embed_dim)
        self.proj = nn.Linear(sizes.embed_dim, sizes.embed_dim)


class _VisionMlp(nn.Module):
    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        self.fc1 = nn.Linear(sizes.embed_dim, sizes.mlp_width)
        self.fc2 = nn.Linear(sizes.mlp_width, sizes.embed_dim)


class _Merger(nn.Module):
    """From several patches to a visual token."""

    def __init__(self, sizes: VisionSizes, *, out: int) -> None:
        super().__init__()
        merged = sizes.embed_dim * sizes.spatial_merge_size**2
        self.ln_q = nn.LayerNorm(sizes.embed_dim, eps=_NORM_EPSILON)
        self.mlp = nn.Sequential(nn.Linear(merged, merged), nn.GELU(), nn.Linear(merged, out))


class _Decoder(nn.Module):
    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        # Not Embedding(...): that draws numbers, for which torch imports its compiler on "meta".
        words = torch.empty(sizes.vocab_size, sizes.hidden_size)
        self.embed_tokens = nn.Embedding.from_pretrained(words)
        self.layers = nn.ModuleList(_DecoderLayer(sizes) for _ in range(sizes.num_layers))
        self.norm = _RootMeanSquareNorm(sizes)


class _DecoderLayer(nn.Module):
    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.self_attn = _DecoderAttention(sizes)
        self.mlp = _DecoderMlp(sizes)
        self.input_layernorm = _RootMeanSquareNorm(sizes)
        self.post_attention_layernorm = _RootMeanSquareNorm(sizes)


class _DecoderAttention(nn.Module):
    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        width, known = sizes.hidden_size, sizes.num_key_value_heads * sizes.head_dimension
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, known)
        self.v_proj = nn.Linear(width, known)
        self.o_proj = nn.Linear(width, width, bias=False)


class _DecoderMlp(nn.Module):
    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(sizes.hidden_size, sizes.mlp_width, bias=False)
        self.up_proj = nn.Linear(sizes.hidden_size, sizes.mlp_width, bias=False)
        self.down_proj = nn.Linear(sizes.mlp_width, sizes.hidden_size, bias=False)


class _RootMeanSquareNorm(nn.Module):
    """Computed in float32, rounded once, then scaled in the format of the weights."""

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(sizes.hidden_size))
        self._epsilon = sizes.norm_epsilon

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Scale each state to the same mean square."""
        wide = states.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self._epsilon)
        return self.weight * wide.to(states.dtype)
