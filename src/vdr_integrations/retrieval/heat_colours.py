"""Shows strengths as colours under which a page stays readable. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["finer", "is_dark", "over_page", "overlay"]

_STOPS = ((255, 214, 64), (253, 168, 60), (240, 116, 88), (209, 78, 124), (178, 54, 152))
"""Yellow, orange, coral, rose, violet: lightness falls evenly (87, 76, 63, 53, 44 in CIELAB), so
that the order is visible in print and to people who cannot distinguish hues; black text has a
contrast above 4.5 on the darkest."""
_LEAST_SHOWN, _MAX_OPACITY = 0.2, 0.88
_OPAQUE_FROM = 0.6
"""Strength from which on the colours have their full opacity."""
_FINER = 4
"""Pixels per cell of a heat map that is shown without its page; with one, browsers show edges."""


def overlay(strength: NDArray[np.float32], *, on_dark: bool = False) -> Image.Image:
    """The colours of strengths, transparent where nothing matches.

    Args:
        strength: float32 (height, width), 0 to 1.
        on_dark: Reverse the order of the colours, for pages with light text.

    Returns:
        RGBA of that size, for the blend mode "multiply"; on a dark page, "screen".
    """
    stops = np.array(_STOPS[::-1] if on_dark else _STOPS, np.float32)
    places = np.linspace(0, 1, len(stops))
    channels = [np.interp(strength, places, stops[:, channel]) for channel in range(3)]
    share = np.clip((strength - _LEAST_SHOWN) / (_OPAQUE_FROM - _LEAST_SHOWN), 0, 1)
    alpha = 255 * _MAX_OPACITY * share * share * (3 - 2 * share)
    return Image.fromarray(np.stack([*channels, alpha], axis=-1).round().astype(np.uint8))


def finer(cells: Image.Image) -> Image.Image:
    """The colours of cells with smooth edges, to stretch over a page: RGBA, four pixels a cell."""
    # Premultiplied (RGBa): the colour of transparent cells must not mix into their neighbours.
    size = (cells.width * _FINER, cells.height * _FINER)
    return cells.convert("RGBa").resize(size, Image.Resampling.BICUBIC).convert("RGBA")


def over_page(page: Image.Image, strength: NDArray[np.float32]) -> Image.Image:
    """A page with strengths drawn over it.

    Args:
        page: Mode RGB.
        strength: float32 (rows, columns), 0 to 1; the cells cover the page evenly.

    Returns:
        An RGB image of the page's size.
    """
    smooth = Image.fromarray(strength.astype(np.float32)).resize(
        page.size, Image.Resampling.BILINEAR
    )
    dark = is_dark(page)
    colours = np.asarray(overlay(np.asarray(smooth), on_dark=dark), np.float32) / 255
    paper = np.asarray(page, np.float32) / 255
    colour, alpha = colours[..., :3], colours[..., 3:]
    multiplied = paper * (1 - alpha + colour * alpha)
    screened = 1 - (1 - paper) * (1 - colour * alpha)
    mixed = screened if dark else multiplied
    return Image.fromarray((255 * mixed).round().astype(np.uint8))


def is_dark(page: Image.Image) -> bool:
    """Whether more than half of a page is darker than middle grey."""
    return float(np.median(np.asarray(page.convert("L").reduce(4)))) < 128
