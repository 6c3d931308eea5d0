"""Pictures encoded within a number of bytes."""

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
"""Of JPEG. Print of 10 pixels is still read at the last one; below, a smaller picture is better."""

_PNG_COLOURS = 65_536
"""Pictures of more are photographs: as PNG they take several times the bytes, and the time."""

_LEAST_BYTES = 1000


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """A picture as a language model gets it.

    Attributes:
        data: The encoded file.
        mime_type: ``image/jpeg`` or ``image/png``.
        width: Pixels.
        height: Pixels.
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
        """Kind and size, never pixels."""
        return f"EncodedPicture({self.mime_type}, {self.width} x {self.height}, {len(self.data)} B)"


def encode_picture(image: Image.Image, *, max_side_px: int, max_bytes: int) -> EncodedPicture:
    """The image, scaled down to fit, as the smaller of PNG and JPEG.

    Where neither is small enough, JPEG of less quality is tried, and then a smaller picture.

    Args:
        image: Mode RGB; never enlarged.
        max_side_px: Longest side, at least 1.
        max_bytes: Of the encoded file, at least 1,000.

    Raises:
        OptionError: Limits below these.
    """
    if max_side_px < 1 or max_bytes < _LEAST_BYTES:
        raise OptionError(
            f"a picture needs max_side_px of at least 1 and max_bytes of at least {_LEAST_BYTES}, "
            f"found {max_side_px} and {max_bytes}."
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
        # Bytes go with the area, roughly; each turn is well smaller, so that few are needed.
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
