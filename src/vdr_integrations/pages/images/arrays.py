"""Convert NumPy arrays to PIL images, without guessing their range of values."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vdr_integrations.errors import ImageDecodeError

__all__ = ["image_of_array"]


def image_of_array(array: np.ndarray, *, source: str) -> Image.Image:
    """Convert an array with channels last to a PIL image.

    Args:
        array: (height, width), or (height, width, 1, 3 or 4); uint8, uint16 (its high byte is
            kept), bool, or floating point within 0..1. A fourth channel is alpha.
        source: Name of the array in error messages.

    Returns:
        An image of mode L, RGB or RGBA that shares no memory with ``array``.

    Raises:
        ImageDecodeError: The array has another shape, dtype or range.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if 0 in array.shape or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {3, 4})):
        raise ImageDecodeError(
            f"found an array of shape {array.shape}; allowed are (height, width) and (height, "
            f"width, 1, 3 or 4): channels last, and no side may be 0.",
            source=source,
        )
    return Image.fromarray(np.ascontiguousarray(_to_uint8(array, source)))


def _to_uint8(array: np.ndarray, source: str) -> np.ndarray:
    if array.dtype == np.uint8:
        return array.copy()
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return (array >> 8).astype(np.uint8)
    if array.dtype.kind != "f":
        raise ImageDecodeError(
            f"found an array of dtype {array.dtype}; allowed are uint8, uint16, bool and floating "
            f"point. Convert it to uint8.",
            source=source,
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # false for NaN too
        raise ImageDecodeError(
            f"found a floating point array with values from {low:g} to {high:g}; they must be "
            f"between 0 and 1. Divide it by the value of white, or convert it to uint8.",
            source=source,
        )
    return (array.astype(np.float32) * np.float32(255)).round().astype(np.uint8)
