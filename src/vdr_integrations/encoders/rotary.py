"""Rotary position embedding as Qwen2-VL uses it, in the vision tower and in the decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RotaryTables", "rotate_", "text_tables", "vision_tables"]


class RotaryTables(NamedTuple):
    """Cosines and sines of the angle of every pair of components.

    Attributes:
        cos: float32 (..., tokens, 1, head dimension / 2).
        sin: Likewise.
    """

    cos: torch.Tensor
    sin: torch.Tensor


def vision_tables(positions: torch.Tensor, *, head_dimension: int, theta: float) -> RotaryTables:
    """Tables of patches: the first half of the pairs turns with the row, the other the column.

    Args:
        positions: int (patches, 2): row and column.
        head_dimension: Of the vision tower.
        theta: Base of the frequencies.
    """
    inverse = _inverse_frequencies(head_dimension // 2, theta).to(positions.device)
    return _tables((positions[:, :, None].float() * inverse).flatten(1))


def text_tables(
    positions: torch.Tensor, *, head_dimension: int, theta: float, sections: Sequence[int]
) -> RotaryTables:
    """Tables of M-RoPE (arXiv 2409.12191, section 2.1).

    Args:
        positions: int (3, sequences, tokens): time, row and column.
        head_dimension: Of the decoder.
        theta: Base of the frequencies.
        sections: How many pairs turn with each of the three.
    """
    inverse = _inverse_frequencies(head_dimension, theta).to(positions.device)
    angles = positions[..., None].float() * inverse
    parts = angles.split([*sections], dim=-1)
    return _tables(torch.cat([part[n % 3] for n, part in enumerate(parts)], dim=-1))


def rotate_(x: torch.Tensor, tables: RotaryTables) -> torch.Tensor:
    """Turn queries or keys in place, in float32; gives them back.

    Args:
        x: (..., tokens, heads, head dimension); a pair is a component of the first half and its
            like of the second.
        tables: Of these tokens.
    """
    wide = x.float()  # x itself where it is float32
    first, second = wide.chunk(2, dim=-1)
    crossed = first * tables.sin
    first.mul_(tables.cos).addcmul_(second, tables.sin, value=-1)
    second.mul_(tables.cos).add_(crossed)
    return x if wide is x else x.copy_(wide)


def _inverse_frequencies(dimension: int, theta: float) -> torch.Tensor:
    return 1.0 / theta ** (torch.arange(0, dimension, 2, dtype=torch.float32) / dimension)


def _tables(angles: torch.Tensor) -> RotaryTables:
    return RotaryTables(angles.cos()[..., None, :], angles.sin()[..., None, :])
