"""Pictures that the tests make."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

__all__ = ["UNKNOWN_REF", "picture", "png"]

UNKNOWN_REF = "vdr-page:" + "0" * 64
"""A well-formed reference to a page that no store has."""


def picture(colour: str = "red", size: tuple[int, int] = (84, 56)) -> Image.Image:
    """A plain image; ``size`` is width and height in pixels."""
    return Image.new("RGB", size, colour)


def png(image: Image.Image) -> bytes:
    """The image as a PNG file."""
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
