"""Convert any PIL image to upright 8-bit RGB, as a reader of the page sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import ExifTags, Image, ImageOps

from vdr_integrations.errors import ImageDecodeError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["to_rgb"]


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image in any PIL mode to upright RGB.

    EXIF orientation is applied. Alpha and palette transparency show white, as on paper. Grey of 16
    bits keeps its high byte, and so does mode I, unless all values are at most 255. Floating point
    is read as 0..1 if all values are at most 1, else as 0..255. PIL converts CMYK, YCbCr, Lab,
    1-bit and palettes.

    Returns:
        An image of mode RGB; the same object if it is upright RGB already.

    Raises:
        ImageDecodeError: Integer grey is outside 0..65535, or floating point is outside 0..255 or
            not finite: it is not known which value is white.
    """
    upright = ImageOps.exif_transpose(image) if _is_turned(image) else image
    if upright.mode == "RGB" and not upright.has_transparency_data:
        return upright
    if upright.mode.startswith("I"):
        return _grey(_integer_grey(upright))
    if upright.mode == "F":
        return _grey(_float_grey(upright))
    if upright.has_transparency_data:
        return _on_white(upright)
    return upright.convert("RGB")


def _is_turned(image: Image.Image) -> bool:
    return image.getexif().get(ExifTags.Base.Orientation, 1) != 1


def _on_white(image: Image.Image) -> Image.Image:
    # PIL converts premultiplied grey only to LA.
    straight = image.convert("LA") if image.mode == "La" else image
    on_white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    on_white.alpha_composite(straight.convert("RGBA"))
    return on_white.convert("RGB")


def _integer_grey(image: Image.Image) -> np.ndarray:
    import numpy as np

    values = np.asarray(image)
    if image.mode != "I":  # I;16 in any byte order
        return (values >> 8).astype(np.uint8)
    _check_range(values, 65_535)
    # PIL keeps both 8-bit and, in some formats, 16-bit grey in this mode.
    return (values if not values.size or values.max() <= 255 else values >> 8).astype(np.uint8)


def _float_grey(image: Image.Image) -> np.ndarray:
    import numpy as np

    values = np.asarray(image)
    _check_range(values, 255)
    scale = 255 if not values.size or values.max() <= 1 else 1
    return (values * scale).round().astype(np.uint8)


def _check_range(values: np.ndarray, white: int) -> None:
    if values.size and not (values.min() >= 0 and values.max() <= white):  # false for NaN too
        raise ImageDecodeError(
            f"grey values from {values.min():g} to {values.max():g}; only 0 to {white} has a "
            f"defined meaning. Convert it to 8 bits first.",
            source="image",
        )


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values).convert("RGB")
