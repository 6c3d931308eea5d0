"""A model's weights as a tree of modules, with the names that transformers gives them.

The modules hold weights. What is computed with them is in ``vision_tower.py`` and ``decoder.py``,
and only norms, matrices and embeddings are called. Make the tree on torch's "meta" device and give
it weights with ``load_state_dict(..., assign=True)``. Here are the parts that all families have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdr_integrations.encoders.forward.model_sizes import DecoderSizes, VisionSizes
    from vdr_integrations.encoders.forward.patch_embedding import BytePatchEmbedding

    Norm = Callable[[int], nn.Module]

__all__ = [
    "ModelTree",
    "PatchConvolution",
    "PatchMergerTree",
    "RootMeanSquareNorm",
    "VisionBlockTree",
    "VisionTree",
    "empty_embedding",
    "layer_norm",
    "root_mean_square_norm",
]

_VISION_NORM_EPSILON = 1e-6
"""Of the vision towers; no configuration changes it."""


class ModelTree(nn.Module):
    """The backbone: the vision tower and the decoder, without a language-model head."""

    def __init__(self, visual: VisionTree, decoder: DecoderSizes) -> None:
        """Make the modules of a decoder beside those of a family's vision tower."""
        super().__init__()
        self.visual = visual
        self.language_model = _Decoder(decoder)

    @property
    def device(self) -> torch.device:
        """The device that holds the weights."""
        return self.language_model.norm.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The format of the weights, and of the states between layers."""
        return self.language_model.norm.weight.dtype


class VisionTree(nn.Module):
    """What the vision towers of all families have; a family adds its blocks and mergers."""

    blocks: nn.ModuleList

    def __init__(self, sizes: VisionSizes, *, has_bias: bool) -> None:
        """Make the patch embedding.

        Args:
            sizes: Of the tower.
            has_bias: Whether the patch embedding has a bias.
        """
        super().__init__()
        self.patch_embed: PatchConvolution | BytePatchEmbedding
        self.patch_embed = PatchConvolution(sizes, has_bias=has_bias)


class PatchConvolution(nn.Module):
    """The patch embedding as published; ``BytePatchEmbedding`` takes its place."""

    def __init__(self, sizes: VisionSizes, *, has_bias: bool) -> None:
        """Make the convolution."""
        super().__init__()
        kernel = (sizes.temporal_patch_size, sizes.patch_size, sizes.patch_size)
        self.proj = nn.Conv3d(sizes.in_channels, sizes.embed_dim, kernel, kernel, bias=has_bias)


class VisionBlockTree(nn.Module):
    """Attention among patches, then a family's MLP."""

    def __init__(self, sizes: VisionSizes, *, mlp: nn.Module, norm: Norm) -> None:
        """Make norms and attention.

        Args:
            sizes: Of the tower.
            mlp: The family's.
            norm: The kind of its norms.
        """
        super().__init__()
        self.norm1 = norm(sizes.embed_dim)
        self.norm2 = norm(sizes.embed_dim)
        self.attn = _VisionAttention(sizes)
        self.mlp = mlp


class _VisionAttention(nn.Module):
    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        self.qkv = nn.Linear(sizes.embed_dim, 3 * sizes.embed_dim)
        self.proj = nn.Linear(sizes.embed_dim, sizes.embed_dim)


class PatchMergerTree(nn.Module):
    """From several patches to a visual token, in Qwen2-VL and Qwen2.5-VL."""

    def __init__(self, sizes: VisionSizes, out: int, *, norm: Norm) -> None:
        """Make a norm and two matrices.

        Args:
            sizes: Of the tower.
            out: The decoder's width.
            norm: The kind of its norm.
        """
        super().__init__()
        merged = sizes.merged_width
        self.ln_q = norm(sizes.embed_dim)
        self.mlp = nn.Sequential(nn.Linear(merged, merged), nn.GELU(), nn.Linear(merged, out))


def layer_norm(width: int) -> nn.Module:
    """The norm of Qwen2-VL's and Qwen3-VL's towers."""
    return nn.LayerNorm(width, eps=_VISION_NORM_EPSILON)


def root_mean_square_norm(width: int) -> nn.Module:
    """The norm of Qwen2.5-VL's tower."""
    return RootMeanSquareNorm(width, _VISION_NORM_EPSILON)


def empty_embedding(rows: int, width: int) -> nn.Embedding:
    """A table without contents."""
    # Not Embedding(...): that draws numbers, for which torch imports its compiler on "meta".
    return nn.Embedding.from_pretrained(torch.empty(rows, width))


class _Decoder(nn.Module):
    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.embed_tokens = empty_embedding(sizes.vocab_size, sizes.hidden_size)
        self.layers = nn.ModuleList(_DecoderLayer(sizes) for _ in range(sizes.num_layers))
        self.norm = RootMeanSquareNorm(sizes.hidden_size, sizes.norm_epsilon)


class _DecoderLayer(nn.Module):
    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.self_attn = _DecoderAttention(sizes)
        self.mlp = _DecoderMlp(sizes)
        self.input_layernorm = RootMeanSquareNorm(sizes.hidden_size, sizes.norm_epsilon)
        self.post_attention_layernorm = RootMeanSquareNorm(sizes.hidden_size, sizes.norm_epsilon)


class _DecoderAttention(nn.Module):
    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        width, bias = sizes.hidden_size, sizes.attention_bias
        asking, known = (
            heads * sizes.head_dimension for heads in (sizes.num_heads, sizes.num_key_value_heads)
        )
        self.q_proj = nn.Linear(width, asking, bias=bias)
        self.k_proj = nn.Linear(width, known, bias=bias)
        self.v_proj = nn.Linear(width, known, bias=bias)
        self.o_proj = nn.Linear(asking, width, bias=False)
        if sizes.head_norms:
            self.q_norm = RootMeanSquareNorm(sizes.head_dimension, sizes.norm_epsilon)
            self.k_norm = RootMeanSquareNorm(sizes.head_dimension, sizes.norm_epsilon)


class _DecoderMlp(nn.Module):
    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(sizes.hidden_size, sizes.mlp_width, bias=False)
        self.up_proj = nn.Linear(sizes.hidden_size, sizes.mlp_width, bias=False)
        self.down_proj = nn.Linear(sizes.mlp_width, sizes.hidden_size, bias=False)


class RootMeanSquareNorm(nn.Module):
    """Computed in float32, rounded once, then scaled in the format of the weights."""

    def __init__(self, width: int, epsilon: float) -> None:
        """Make the scales.

        Args:
            width: Components of a state.
            epsilon: What is added to the mean square.
        """
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self._epsilon = epsilon

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Scale each state to the same mean square."""
        wide = states.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self._epsilon)
        return self.weight * wide.to(states.dtype)
