"""Any PIL image to upright 8-bit RGB, the way a reader of the page would see it."""

from __future__ import annotations

import numpy as np
from PIL import ExifTags, Image, ImageOps

from vdr_integrations.errors import ImageDecodeError

__all__ = ["to_rgb"]


def to_rgb(image: Image.Image) -> Image.Image:
    """Upright RGB of an image in any PIL mode.

    EXIF orientation is applied; alpha and palette transparency lie on white, as on paper; grey of
    16 bits keeps its high byte, and so does mode I, unless nothing in it exceeds 255; floating
    point is read as 0..1 if nothing exceeds 1, else as 0..255; CMYK, YCbCr, Lab, 1-bit and
    palettes go through PIL's conversion.

    Returns:
        An image of mode RGB; the same object if it was one already and needed no turning.

    Raises:
        ImageDecodeError: Integer grey outside 0..65535, or floating point that is outside 0..255
            or not finite: nothing says what is white there.
    """
    upright = ImageOps.exif_transpose(image) if _is_turned(image) else image
    if upright.mode == "RGB" and not upright.has_transparency_data:
        return upright
    if upright.mode.startswith("I"):
        return _grey(_integer_grey(upright))
    if upright.mode == "F":
        return _grey(_float_grey(np.asarray(upright)))
    if upright.has_transparency_data:
        return _on_white(upright)
    return upright.convert("RGB")


def _is_turned(image: Image.Image) -> bool:
    return image.getexif().get(ExifTags.Base.Orientation, 1) != 1


def _on_white(image: Image.Image) -> Image.Image:
    # PIL converts premultiplied grey to nothing but LA.
    straight = image.convert("LA") if image.mode == "La" else image
    on_white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    on_white.alpha_composite(straight.convert("RGBA"))
    return on_white.convert("RGB")


def _integer_grey(image: Image.Image) -> np.ndarray:
    values = np.asarray(image)
    if image.mode != "I":  # I;16 in any byte order
        return (values >> 8).astype(np.uint8)
    _check_range(values, 65_535)
    # PIL keeps both 8-bit and, in some formats, 16-bit grey in this mode.
    return (values if not values.size or values.max() <= 255 else values >> 8).astype(np.uint8)


def _float_grey(values: np.ndarray) -> np.ndarray:
    _check_range(values, 255)
    scale = 255 if not values.size or values.max() <= 1 else 1
    return (values * scale).round().astype(np.uint8)


def _check_range(values: np.ndarray, white: int) -> None:
    if values.size and not (values.min() >= 0 and values.max() <= white):  # false for NaN too
        raise ImageDecodeError(
            f"grey values from {values.min():g} to {values.max():g}; at most 0 to {white} has a "
            f"defined meaning. Convert it to 8 bits first.",
            source="image",
        )


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values).convert("RGB")
