"""Images as ``data:`` URIs, small enough for a file that is shared."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from PIL import Image

from vdr_integrations.retrieval.heat_colours import finer

if TYPE_CHECKING:
    from vdr_integrations.retrieval import HeatMap

__all__ = ["heat_uri", "page_uri"]

_LONGEST_SIDE_PX = 1400
_QUALITY = 82


def page_uri(page: Image.Image) -> str:
    """A page as WebP; its longer side has at most 1,400 pixels."""
    shown = page.copy()
    shown.thumbnail((_LONGEST_SIDE_PX, _LONGEST_SIDE_PX), Image.Resampling.LANCZOS)
    return _uri(shown, "WEBP", quality=_QUALITY, method=4)


def heat_uri(heat: HeatMap, words: tuple[str, ...] | None) -> str:
    """A heat map without its page, as a transparent PNG to stretch over the page."""
    return _uri(finer(heat.overlay(words)), "PNG", optimize=True)


def _uri(image: Image.Image, kind: str, **options: int | bool) -> str:
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
