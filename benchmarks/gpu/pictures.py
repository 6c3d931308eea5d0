"""Generated pages, so that nothing must be drawn from a PDF."""

from __future__ import annotations

import numpy as np
from PIL import Image

__all__ = ["made_up_pages"]

_FACTOR = 28  # pixels of a visual token's side
_LINE = 14


def made_up_pages(count: int, grid: tuple[int, int]) -> list[Image.Image]:
    """Pages of lines of dark words on white, all different, at the size the model reads.

    Args:
        count: How many.
        grid: Rows and columns of visual tokens.
    """
    rows, columns = (_FACTOR * side for side in grid)
    random = np.random.default_rng(0)
    pages: list[Image.Image] = []
    for _ in range(count):
        pixels = np.full((rows, columns, 3), 255, np.uint8)
        for top in range(_LINE, rows - _LINE, _LINE):
            left = int(random.integers(_LINE, 2 * _LINE))
            while left < columns - 2 * _LINE:
                word = int(random.integers(4, 40))
                colour = random.integers(0, 120, 3)
                ink = random.random((_LINE // 2, min(word, columns - _LINE - left), 1)) < 0.6
                place = pixels[top : top + _LINE // 2, left : left + word][:, : ink.shape[1]]
                place[:] = np.where(ink, colour, place)
                left += word + 6
        pages.append(Image.fromarray(pixels))
    return pages
