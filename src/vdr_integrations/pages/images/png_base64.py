"""An image as a PNG in base64, as messages to language models hold it."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["png_base64"]


def png_base64(image: Image.Image) -> str:
    """The image as PNG, which loses nothing, so that small print stays legible."""
    png = BytesIO()
    image.save(png, format="PNG")
    return base64.b64encode(png.getvalue()).decode("ascii")
