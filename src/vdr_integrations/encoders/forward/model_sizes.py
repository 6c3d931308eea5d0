"""The numbers of a ``config.json`` that decide how a model computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdr_integrations.encoders.preprocessing.window_order import (
    Span,
    window_patch_order,
    window_spans,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DecoderSizes", "ModelSizes", "VisionSizes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionSizes:
    """The vision tower.

    Attributes:
        depth: Number of blocks.
        embed_dim: Components of a patch.
        mlp_width: Components between the matrices of an MLP.
        num_heads: Heads of attention.
        in_channels: Colours of a pixel.
        patch_size: Side of a patch, in pixels.
        temporal_patch_size: Frames of a patch.
        spatial_merge_size: So many patches in each direction become one visual token.
        window_tokens: Side of a window of attention, in visual tokens; 0 if every block attends to
            the whole page.
        whole_page_blocks: Blocks that attend to the whole page although the others have windows.
        position_rows: Rows and columns of the table of learned positions; 0 without a table.
        deepstack_blocks: Blocks after which patches are merged for the decoder's first layers too.
    """

    depth: int
    embed_dim: int
    mlp_width: int
    num_heads: int
    in_channels: int
    patch_size: int
    temporal_patch_size: int
    spatial_merge_size: int
    window_tokens: int = 0
    whole_page_blocks: tuple[int, ...] = ()
    position_rows: int = 0
    deepstack_blocks: tuple[int, ...] = ()

    @property
    def merged_width(self) -> int:
        """Components of the patches that become one visual token, together."""
        return self.embed_dim * self.spatial_merge_size**2

    def patch_order(self, grid: tuple[int, int]) -> NDArray[np.intp] | None:
        """Where the patches of each window are (``window_patch_order``); None without windows."""
        if not self.window_tokens:
            return None
        return window_patch_order(
            grid, merge_size=self.spatial_merge_size, window_tokens=self.window_tokens
        )

    def spans(self, grid: tuple[int, int]) -> tuple[Span, ...]:
        """The windows of a page; without windows, the page."""
        if not self.window_tokens:
            return (Span(start=0, windows=1, patches=grid[0] * grid[1]),)
        return window_spans(
            grid, merge_size=self.spatial_merge_size, window_tokens=self.window_tokens
        )


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
        head_dimension: Components of a head.
        norm_epsilon: What a norm adds to the mean square.
        rope_theta: Base of the frequencies of rotary positions.
        mrope_section: How many pairs of components rotate with time, row and column.
        interleaved: Whether those pairs take turns; else they follow each other.
        attention_bias: Whether queries, keys and values have a bias.
        head_norms: Whether each head of queries and keys is normalised.
        max_tokens: Number of positions that are supported.
    """

    vocab_size: int
    hidden_size: int
    mlp_width: int
    num_layers: int
    num_heads: int
    num_key_value_heads: int
    head_dimension: int
    norm_epsilon: float
    rope_theta: float
    mrope_section: tuple[int, ...]
    interleaved: bool = False
    attention_bias: bool = True
    head_norms: bool = False
    max_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSizes:
    """Both parts of a model."""

    vision: VisionSizes
    decoder: DecoderSizes
