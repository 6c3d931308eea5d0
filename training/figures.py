"""Figures of manuals: drawings without a word, so that what is no print is not taken for print."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

if TYPE_CHECKING:
    from collections.abc import Callable

    Drawing = Callable[[np.random.Generator, ImageDraw.ImageDraw, int, int], None]

SYMBOLS = (  # of DejaVu Sans: arrows, operators, shapes, dingbats, and letters unlike ours
    *range(0x2190, 0x2200),
    *range(0x2200, 0x22F0),
    *range(0x25A0, 0x2600),
    *range(0x2600, 0x2670),
    *range(0x2701, 0x27B0),
    *range(0x0391, 0x03C9),
    *range(0x0410, 0x0450),
)


def make_figure(rng: np.random.Generator, width_px: int, height_px: int) -> bytes:
    """A PNG of one kind of drawing or another."""
    image = Image.new("RGB", (width_px, height_px), "white")
    if rng.random() < 0.25:
        image = _photograph(rng, width_px, height_px)
    else:
        draw: Drawing = (_staves, _diagram, _plot, _screen, _symbols)[int(rng.integers(5))]
        draw(rng, ImageDraw.Draw(image), width_px, height_px)
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _colour(rng: np.random.Generator, *, dark: bool) -> tuple[int, int, int]:
    if dark and rng.random() < 0.7:
        return (0, 0, 0)
    low, high = (0, 140) if dark else (140, 250)
    red, green, blue = rng.integers(low, high, size=3)
    return (int(red), int(green), int(blue))


def _staves(rng: np.random.Generator, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """Lines of music, more or less."""
    gap = float(rng.uniform(5, 12))
    top = gap * 2
    while top + 6 * gap < height:
        for line in range(5):
            y = top + line * gap
            draw.line((0, y, width, y), fill=0, width=int(rng.integers(1, 3)))
        x = gap
        _squiggle(rng, draw, x, top + 2 * gap, 3 * gap)
        x += 4 * gap
        beam = None
        while x < width - 2 * gap:
            y = top + float(rng.integers(-1, 10)) * gap / 2
            filled = rng.random() < 0.75
            box = (x - 0.65 * gap, y - 0.45 * gap, x + 0.65 * gap, y + 0.45 * gap)
            draw.ellipse(box, fill=0 if filled else None, outline=0, width=2)
            up = y > top + 2 * gap
            end = y + (-3.4 if up else 3.4) * gap
            side = x + (0.6 if up else -0.6) * gap
            draw.line((side, y, side, end), fill=0, width=2)
            if beam is not None:
                draw.line((*beam, side, end), fill=0, width=max(2, int(gap / 2)))
            beam = (side, end) if rng.random() < 0.4 else None
            if rng.random() < 0.15:
                draw.line((x + 1.4 * gap, top, x + 1.4 * gap, top + 4 * gap), fill=0, width=2)
            x += gap * float(rng.uniform(2.0, 4.5))
        top += gap * float(rng.uniform(8, 13))


def _squiggle(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, x: float, y: float, size: float
) -> None:
    """A clef, a signature, a scribble."""
    steps = np.cumsum(rng.normal(size=(40, 2)), axis=0)
    steps = np.stack([np.convolve(part, np.ones(6) / 6, "valid") for part in steps.T], axis=1)
    spread = np.ptp(steps, axis=0).max()
    path = (steps - steps.mean(axis=0)) / spread * size + (x, y)
    draw.line([(float(a), float(b)) for a, b in path], fill=0, width=int(rng.integers(1, 5)))


def _diagram(rng: np.random.Generator, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """Boxes, circles and arrows."""
    places: list[tuple[float, float]] = []
    for _ in range(int(rng.integers(3, 12))):
        across, down = rng.uniform(0.04, 0.16) * width, rng.uniform(0.06, 0.2) * height
        x, y = rng.uniform(across, width - across), rng.uniform(down, height - down)
        if places:
            draw.line((*places[int(rng.integers(len(places)))], x, y), fill=0, width=2)
        places.append((float(x), float(y)))
        kind = draw.ellipse if rng.random() < 0.4 else draw.rectangle
        fill = _colour(rng, dark=False) if rng.random() < 0.6 else "white"
        box = (x - across, y - down, x + across, y + down)
        kind(box, fill=fill, outline=_colour(rng, dark=True), width=int(rng.integers(1, 4)))
        if rng.random() < 0.4:
            _squiggle(rng, draw, float(x), float(y), float(min(across, down)))


def _plot(rng: np.random.Generator, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """Curves, points or bars between axes."""
    left, bottom = 0.08 * width, 0.9 * height
    draw.line((left, 0.05 * height, left, bottom, width, bottom), fill=0, width=2)
    for tick in np.arange(left, width, width / 12):
        draw.line((tick, bottom, tick, bottom + 6), fill=0, width=1)
    for _ in range(int(rng.integers(1, 5))):
        count, colour = int(rng.integers(6, 40)), _colour(rng, dark=True)
        x = np.linspace(left, width, count)
        y = np.cumsum(rng.normal(size=count))
        y = bottom - (y - y.min()) / np.ptp(y) * 0.8 * height
        if rng.random() < 0.4:
            draw.line([*zip(x.tolist(), y.tolist(), strict=True)], fill=colour, width=2)
        elif rng.random() < 0.5:
            for a, b in zip(x, y, strict=True):
                draw.rectangle((a, b, a + 0.4 * width / count, bottom), fill=colour)
        else:
            for a, b in zip(x, y, strict=True):
                draw.ellipse((a - 3, b - 3, a + 3, b + 3), outline=colour, width=2)


def _screen(rng: np.random.Generator, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """A window with panels, buttons and lines too small to be read."""
    draw.rectangle((0, 0, width - 1, height - 1), fill=_colour(rng, dark=False), outline=0, width=2)
    draw.rectangle((0, 0, width, 22), fill=_colour(rng, dark=True))
    for _ in range(int(rng.integers(2, 7))):
        x, y = rng.uniform(0.02, 0.7) * width, rng.uniform(0.1, 0.75) * height
        right, low = x + rng.uniform(0.1, 0.5) * width, y + rng.uniform(0.1, 0.4) * height
        draw.rectangle((x, y, right, low), fill="white", outline=_colour(rng, dark=True), width=2)
        line = y + 8
        while line < low - 4:
            at = x + 6
            while at < right - 8:
                long = float(rng.uniform(4, 30))
                draw.line((at, line, min(at + long, right - 6), line), fill=(90, 90, 90), width=3)
                at += long + 4
            line += float(rng.uniform(7, 14))


def _symbols(rng: np.random.Generator, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """Signs that are no letters of the five languages, in print of any size."""
    size = int(rng.integers(14, 64))
    font = _dejavu(size)
    y = 2.0
    while y + size < height:
        x = float(rng.uniform(0, width / 3))
        while x + size < width:
            sign = chr(int(rng.choice(SYMBOLS)))
            draw.text((x, y), sign, fill=_colour(rng, dark=True), font=font)
            x += size * float(rng.uniform(0.8, 2.5))
        y += size * float(rng.uniform(1.1, 2.0))


@cache
def _dejavu(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype("DejaVuSans.ttf", size)


def _photograph(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Soft patches of colour with edges and grain."""
    total = np.zeros((height, width, 3))
    for cells in (3, 6, 12, 48):
        coarse = rng.normal(size=(cells, cells, 3)) * 0.7 + rng.normal(size=(cells, cells, 1))
        scaled = ((np.clip(coarse, -3, 3) + 3) / 6 * 255).astype(np.uint8)
        part = Image.fromarray(scaled).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(part, float) / cells**0.5
    total = (total - total.min()) / np.ptp(total) * 255 + rng.normal(size=total.shape) * 6
    image = Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(6))):
        corners = [(int(rng.integers(width)), int(rng.integers(height))) for _ in range(3)]
        draw.polygon(corners, fill=_colour(rng, dark=rng.random() < 0.5))
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 2))))
