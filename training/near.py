"""How a token of the last layer looks at its neighbours: by their places alone.

Words are told by what stands beside them: a piece by the pieces before it, a cell by the cell to
its left. In late interaction both sides take over some of that, and so find words that stand
together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from training.text import TextConfig

NEAR = 0.25  # how much a token takes over; a power of 2 keeps dense vectors to the bit
ROW, COLUMN, PIECE = 2.0, 8.0, 0.4  # strength of scores, a frequency
COLUMNS, PIECES = 10, 10  # frequencies used
USUAL = (10.0, 21.9)  # of a visual and a text token's constant after RMSNorm, with a usual code


def look_at(
    config: TextConfig, *, up: float, left: float, row: float, column: float
) -> tuple[Tensor, Tensor]:
    """A constant query and key (head_size,) that look at the cell so many rows up and columns left.

    Under rotary positions they score offsets alone: ``row`` and ``column`` times the sum of the
    cosines of what an offset is off by, times the frequencies used.
    """
    time, height, _ = config.sections
    rows, columns = slice(time, time + height), slice(time + height, time + height + COLUMNS)
    strength, offset = torch.zeros(2, config.head_size // 2)
    strength[rows], strength[columns] = row, column
    offset[rows], offset[columns] = up, left
    key = torch.zeros(config.head_size)
    key[: time + height + COLUMNS] = 1.0
    return _query(config, strength, offset), key


def _query(config: TextConfig, strength: Tensor, offset: Tensor) -> Tensor:
    """What scores a key of ones best at ``offset``; both have a number for every frequency."""
    angle = -config.frequencies() * offset
    return config.head_size**0.5 * torch.cat([strength * angle.cos(), strength * angle.sin()])


def near_kernel(config: TextConfig) -> tuple[Tensor, Tensor, Tensor]:
    """What makes a token look at its neighbours: scores of positions alone.

    A constant query and a constant key under rotary positions score the offset alone. A visual
    token looks at the cell to its left, a piece at the piece before it and a little further.

    Returns:
        Queries of a visual and of a text token by the length of their constants, and the key of
        every token, (head_size,) each.
    """
    visual, key = look_at(config, up=0.0, left=1.0, row=ROW, column=COLUMN)
    strength = torch.zeros(config.head_size // 2)
    strength[:PIECES] = PIECE
    text = _query(config, strength, torch.ones_like(strength))
    return visual / USUAL[0], text / USUAL[1], key
