"""From an image to the rows that Qwen2-VL's vision tower reads. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["patch_positions", "patchify", "rope_positions"]


def patchify(image: Image.Image, *, patch_size: int = 14, merge_size: int = 2) -> NDArray[np.uint8]:
    """Patches of an image, in the order of the tower: 2 x 2 neighbours together.

    Args:
        image: RGB, both sides multiples of ``patch_size * merge_size``.
        patch_size: Side of a patch, in pixels.
        merge_size: Patches along one side of a visual token.

    Returns:
        uint8 (patches, 3 * patch_size**2), each row in the order of the image: pixel by pixel, red,
        green, blue. The float32 rows of transformers have the same values, normalised, channel by
        channel and each twice (two equal video frames); keeping pixels together is four times
        faster.
    """
    pixels = np.asarray(image)
    height, width, channels = pixels.shape
    rows, columns = height // (patch_size * merge_size), width // (patch_size * merge_size)
    blocks = pixels.reshape(rows, merge_size, patch_size, columns, merge_size, patch_size, channels)
    ordered = blocks.transpose(0, 3, 1, 4, 2, 5, 6)
    return np.ascontiguousarray(ordered).reshape(-1, channels * patch_size**2)


def patch_positions(grid: tuple[int, int], *, merge_size: int = 2) -> NDArray[np.int64]:
    """Row and column of every patch, in the order of :func:`patchify`.

    Args:
        grid: Patches down and across, multiples of ``merge_size``.
        merge_size: Patches along one side of a visual token.

    Returns:
        int64 (patches, 2).
    """
    down, across = grid
    row, column = np.mgrid[0:down, 0:across]
    shape = (down // merge_size, merge_size, across // merge_size, merge_size)
    return np.stack([p.reshape(shape).transpose(0, 2, 1, 3).ravel() for p in (row, column)], axis=1)


def rope_positions(
    *, before: int, grid: tuple[int, int], after: int, merge_size: int = 2
) -> NDArray[np.int64]:
    """M-RoPE positions of a sequence of text, one image, and text.

    A token of text adds one on all three axes. The visual tokens of the image share one time and
    count their rows and columns; the text after the image continues after the larger of the two
    (arXiv 2409.12191, section 2.1).

    Args:
        before: Tokens before the image.
        grid: Patches down and across.
        after: Tokens after the image.
        merge_size: Patches along one side of a visual token.

    Returns:
        int64 (3, before + visual tokens + after): time, row, column.
    """
    rows, columns = grid[0] // merge_size, grid[1] // merge_size
    row, column = np.mgrid[0:rows, 0:columns]
    image = np.stack([np.zeros(rows * columns, np.int64), row.ravel(), column.ravel()]) + before
    behind = before + max(rows, columns) + np.arange(after)
    text_before = np.broadcast_to(np.arange(before), (3, before))
    return np.concatenate([text_before, image, np.broadcast_to(behind, (3, after))], axis=1)
