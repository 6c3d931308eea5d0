"""What a result of a tool shows: texts and pictures."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

from PIL import Image

__all__ = ["images", "text_of"]


def text_of(result: dict[str, Any]) -> str:
    texts = [block["text"] for block in result["content"] if block["type"] == "text"]
    return "\n\n".join(texts)


def images(result: dict[str, Any]) -> list[Image.Image]:
    found: list[Image.Image] = []
    for block in result["content"]:
        if block["type"] == "image":
            image = Image.open(BytesIO(base64.b64decode(block["data"], validate=True)))
            image.load()
            assert Image.MIME[image.format or ""] == block["mimeType"]
            found.append(image)
    return found
