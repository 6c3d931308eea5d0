"""Rotary position embedding as the Qwen-VL models use it, in vision towers and in decoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RotaryTables", "inverse_frequencies", "rotate_", "text_tables", "vision_tables"]


class RotaryTables(NamedTuple):
    """Cosines and sines of the angle of every pair of components.

    Attributes:
        cos: float32 (..., tokens, 1, head dimension / 2).
        sin: The same shape.
    """

    cos: torch.Tensor
    sin: torch.Tensor


def inverse_frequencies(components: int, theta: float, device: torch.device) -> torch.Tensor:
    """How fast each pair of components rotates; the same for every page, so it is kept.

    Args:
        components: Number of components that rotate with one position.
        theta: Base of the frequencies.
        device: Device of the result.

    Returns:
        float32 (components / 2,).
    """
    powers = torch.arange(0, components, 2, dtype=torch.float32) / components
    return (1.0 / theta**powers).to(device)


def vision_tables(positions: torch.Tensor, inverse: torch.Tensor) -> RotaryTables:
    """Tables of patches: the first half of the pairs rotates with the row, the other the column.

    Args:
        positions: int (patches, 2): row and column.
        inverse: Frequencies of half of a head's components.
    """
    return _tables((positions[:, :, None].float() * inverse).flatten(1))


def text_tables(
    positions: torch.Tensor,
    inverse: torch.Tensor,
    *,
    sections: Sequence[int],
    interleaved: bool = False,
) -> RotaryTables:
    """Tables of M-RoPE (arXiv 2409.12191, section 2.1).

    Args:
        positions: int (3, sequences, tokens): time, row and column.
        inverse: Frequencies of a head's components.
        sections: How many pairs rotate with each of the three.
        interleaved: The three take turns, pair by pair, and time has the pairs that are left
            (Qwen3-VL); else each has pairs that follow each other.
    """
    angles = positions[..., None].float() * inverse
    if interleaved:
        turns = angles[0].clone()
        for axis in (1, 2):
            pairs = slice(axis, 3 * sections[axis], 3)
            turns[..., pairs] = angles[axis][..., pairs]
        return _tables(turns)
    parts = angles.split([*sections], dim=-1)
    return _tables(torch.cat([part[n % 3] for n, part in enumerate(parts)], dim=-1))


def rotate_(x: torch.Tensor, tables: RotaryTables) -> torch.Tensor:
    """Rotate queries or keys in place, in float32, and return them.

    Args:
        x: (..., tokens, heads, head dimension); a pair is a component of the first half and the
            one at the same place of the second half.
        tables: Tables of these tokens.
    """
    wide = x.float()  # x itself if it is float32
    first, second = wide.chunk(2, dim=-1)
    crossed = first * tables.sin
    first.mul_(tables.cos).addcmul_(second, tables.sin, value=-1)
    second.mul_(tables.cos).add_(crossed)
    return x if wide is x else x.copy_(wide)


def _tables(angles: torch.Tensor) -> RotaryTables:
    return RotaryTables(angles.cos()[..., None, :], angles.sin()[..., None, :])
