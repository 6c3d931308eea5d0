"""Windows of a page: which patches attend to each other in Qwen2.5-VL. Pure arithmetic."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Span", "window_patch_order", "window_spans"]


class Span(NamedTuple):
    """Windows of one size that follow each other.

    Attributes:
        start: Its first patch.
        windows: Number of windows.
        patches: Patches of each.
    """

    start: int
    windows: int
    patches: int


@lru_cache(maxsize=64)
def window_spans(grid: tuple[int, int], *, merge_size: int, window_tokens: int) -> tuple[Span, ...]:
    """The windows of a page whose patches are in the order of :func:`window_patch_order`.

    Whole windows come first, then those that the right edge cuts, the lower edge, and both.

    Args:
        grid: Patches down and across.
        merge_size: Patches along one side of a visual token.
        window_tokens: Visual tokens along one side of a window.
    """
    rows, columns = grid[0] // merge_size, grid[1] // merge_size
    spans: list[Span] = []
    start = 0
    for down, height in _parts(rows, window_tokens):
        for across, width in _parts(columns, window_tokens):
            patches = height * width * merge_size**2
            if windows := down * across * min(patches, 1):
                spans.append(Span(start, windows, patches))
                start += windows * patches
    return tuple(spans)


@lru_cache(maxsize=64)
def window_patch_order(
    grid: tuple[int, int], *, merge_size: int, window_tokens: int
) -> NDArray[np.intp]:
    """Where the patches of each window are, among patches in the order of ``patchify``.

    Windows are in the order of :func:`window_spans`; in a window visual tokens are line by line.

    Returns:
        (patches,), for reading only.
    """
    rows, columns = grid[0] // merge_size, grid[1] // merge_size
    row, column = (axis.ravel() for axis in np.mgrid[0:rows, 0:columns])
    is_cut = [
        place >= count - count % window_tokens for place, count in ((row, rows), (column, columns))
    ]
    window = row // window_tokens, column // window_tokens
    # The last key counts first.
    tokens = np.lexsort((column, row, window[1], window[0], is_cut[1], is_cut[0]))
    of_a_token = merge_size**2
    order = (tokens[:, None] * of_a_token + np.arange(of_a_token)).ravel()
    order.flags.writeable = False
    return order


def _parts(count: int, window_tokens: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Along one side: the number of whole windows and their length, then the rest's."""
    return (count // window_tokens, window_tokens), (1, count % window_tokens)
