"""Encodes images within a number of bytes."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Literal

from PIL import Image

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from typing import TypeAlias

    MimeType: TypeAlias = Literal["image/jpeg", "image/png"]

__all__ = ["EncodedPicture", "encode_picture"]

_QUALITIES = (85, 70, 55)
"""JPEG qualities. Print of 10 pixels is still legible at the last one; instead of a lower quality,
a smaller image is better."""

_PNG_COLOURS = 65_536
"""An image with more colours is a photograph: PNG needs several times the bytes and the time."""

_LEAST_BYTES = 1000


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """An image file for a language model.

    Attributes:
        data: The encoded file.
        mime_type: ``image/jpeg`` or ``image/png``.
        width: Width in pixels.
        height: Height in pixels.
    """

    data: bytes
    mime_type: MimeType
    width: int
    height: int

    @property
    def base64(self) -> str:
        """The file as base64, standard alphabet, padded."""
        return base64.b64encode(self.data).decode("ascii")

    def __repr__(self) -> str:
        """MIME type and size, never pixels."""
        return f"EncodedPicture({self.mime_type}, {self.width} x {self.height}, {len(self.data)} B)"


def encode_picture(image: Image.Image, *, max_side_px: int, max_bytes: int) -> EncodedPicture:
    """The image, scaled down to fit, as PNG or JPEG, whichever is smaller.

    If both are too large, JPEG of lower quality is tried, and then a smaller image.

    Args:
        image: An RGB image; it is never enlarged.
        max_side_px: Maximum length of the longer side in pixels, at least 1.
        max_bytes: Maximum size of the encoded file in bytes, at least 1,000.

    Raises:
        OptionError: A limit is too small.
    """
    if max_side_px < 1 or max_bytes < _LEAST_BYTES:
        raise OptionError(
            f"max_side_px must be at least 1 and max_bytes at least {_LEAST_BYTES}, found "
            f"{max_side_px} and {max_bytes}."
        )
    shown = _scaled(image, max_side_px / max(image.size))
    best = _jpeg(shown, _QUALITIES[0])
    if shown.getcolors(_PNG_COLOURS) is not None:
        best = min(best, _png(shown), key=_bytes)
    while len(best.data) > max_bytes:
        for quality in _QUALITIES[1:]:
            best = _jpeg(shown, quality)
            if len(best.data) <= max_bytes:
                return best
        # The bytes are roughly proportional to the area. Large steps, so that few are needed.
        shrink = (max_bytes / len(best.data)) ** 0.5
        shown = _scaled(shown, min(0.85, max(0.4, shrink * 0.95)))
        best = _jpeg(shown, _QUALITIES[0])
    return best


def _scaled(image: Image.Image, scale: float) -> Image.Image:
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _jpeg(image: Image.Image, quality: int) -> EncodedPicture:
    data = BytesIO()
    image.save(data, format="JPEG", quality=quality, optimize=True)
    return EncodedPicture(data.getvalue(), "image/jpeg", image.width, image.height)


def _png(image: Image.Image) -> EncodedPicture:
    data = BytesIO()
    image.save(data, format="PNG", compress_level=6)
    return EncodedPicture(data.getvalue(), "image/png", image.width, image.height)


def _bytes(picture: EncodedPicture) -> int:
    return len(picture.data)
