"""The numbers of a ``config.json`` that decide how Qwen2-VL computes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DecoderSizes", "ModelSizes", "VisionSizes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionSizes:
    """The vision tower.

    Attributes:
        depth: Number of blocks.
        embed_dim: Components of a patch.
        mlp_width: Components between the two matrices of an MLP.
        num_heads: Heads of attention.
        in_channels: Colours of a pixel.
        patch_size: Side of a patch, in pixels.
        temporal_patch_size: Frames of a patch.
        spatial_merge_size: So many patches in each direction become one visual token.
    """

    depth: int
    embed_dim: int
    mlp_width: int
    num_heads: int
    in_channels: int
    patch_size: int
    temporal_patch_size: int
    spatial_merge_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderSizes:
    """The decoder.

    Attributes:
        vocab_size: Number of tokens that are known.
        hidden_size: Components of a token; those of a visual token too.
        mlp_width: Components between the matrices of an MLP.
        num_layers: Number of layers.
        num_heads: Heads of attention.
        num_key_value_heads: Heads of keys and values; each is used by several heads.
        norm_epsilon: What a norm adds to the mean square.
        rope_theta: Base of the frequencies of rotary positions.
        mrope_section: How many pairs of components rotate with time, row and column.
        max_tokens: Number of positions that are supported.
    """

    vocab_size: int
    hidden_size: int
    mlp_width: int
    num_layers: int
    num_heads: int
    num_key_value_heads: int
    norm_epsilon: float
    rope_theta: float
    mrope_section: tuple[int, ...]
    max_tokens: int

    @property
    def head_dimension(self) -> int:
        """Components of a head."""
        return self.hidden_size // self.num_heads


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSizes:
    """Both parts of a model."""

    vision: VisionSizes
    decoder: DecoderSizes
