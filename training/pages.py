"""Synthetic document pages: headings, paragraphs, lists, tables and charts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from training.canvas import Canvas, Color, Face, Page, font_families
from training.lexicon import number
from training.wear import wear
from training.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")
A4 = (644, 896)
SMALLEST = 8.5  # pixels
BULLETS = ("\u2022", "-", "\u2013", "*")
RARE_STYLES = (
    "Italic", "Oblique", "Condensed", "Narrow", "Black", "Heavy", "Light", "Medium", "Semi",
)  # fmt: skip


@dataclass(frozen=True)
class Style:
    """What a stage asks of its pages."""

    width: int = A4[0]
    height: int = A4[1]
    body: tuple[float, float] = (9.0, 16.0)  # range of the body text's size in pixels
    per_block: bool = False  # draw font and size anew for every block
    fonts: int | None = None  # only the first that many font families
    plain: bool = False  # no noise, no dark pages
    usual: bool = False  # mostly upright regular and bold faces, few worn pages
    running_text: float = 0.5  # share of texts with stop words in their natural frequency


@dataclass(frozen=True)
class Box:
    """Where a block may print; ``y`` is its top."""

    x: float
    y: float
    width: float
    bottom: float


def is_usual(font: str) -> bool:
    """Whether a font file is a face that documents are commonly set in."""
    return not any(style in font for style in RARE_STYLES)


class _Writer:
    """Fills one page from top to bottom, column by column."""

    def __init__(self, rng: np.random.Generator, style: Style) -> None:
        self.rng, self.style = rng, style
        self.dark = not style.plain and rng.random() < (0.02 if style.usual else 0.06)
        tint = rng.random(3) * (0.12 if rng.random() < 0.3 else 0.0)
        self.canvas = Canvas(style.width, style.height, tuple(tint if self.dark else 1.0 - tint))
        self.wording = Wording(rng, style.running_text)
        self.families = self._families()
        self.family = self._pick(self.families)
        self.heads = self.family if rng.random() < 0.6 else self._pick(self.families)
        self.body = self._body_size()
        self.leading = rng.uniform(1.1, 1.5)

    def _families(self) -> list[list[int]]:
        names = [font.name for font in self.canvas.fonts]
        families = list(font_families(names).values())
        if self.style.usual:
            families = [
                [i for i in family if self.rng.random() < 0.15 or is_usual(names[i])] or family
                for family in families
            ]
        return families[: self.style.fonts] if self.style.fonts else families

    def _pick(self, items: Sequence[T]) -> T:
        return items[int(self.rng.integers(len(items)))]

    def _body_size(self) -> float:
        low, high = self.style.body
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def ink(self, lightest: float = 0.15) -> Color:
        """Nearly black, now and then a colour; the opposite on dark pages."""
        level = self.rng.random() * lightest
        color = self.rng.random(3) * 0.6 if self.rng.random() < 0.12 else np.full(3, level)
        return tuple(1.0 - color if self.dark else color)

    def lines(self, words: Sequence[str], box: Box, face: Face, *, justify: bool = False) -> float:
        """Print ``words`` broken into lines; return the y below them."""
        face = replace(face, spacing=float(self.rng.normal(0, 0.015)) * face.size)
        color, space, y = self.ink(), self.canvas.measure(" ", face), box.y
        row: list[str] = []
        used = 0.0
        for word in [*words, None]:
            extent = self.canvas.measure(word, face) if word else 0.0
            if word is None or (row and used + extent > box.width):
                y += face.size * self.leading
                if y > box.bottom:
                    return y
                spare = box.width - used + space if justify and word and len(row) > 3 else 0.0
                self._row(row, (box.x, y), face, color, space + spare / max(1, len(row) - 1))
                row, used = [], 0.0
            if word is not None:
                row.append(word)
                used += extent + space
        return y

    def _row(
        self, row: list[str], start: tuple[float, float], face: Face, color: Color, gap: float
    ) -> None:
        x, y = start
        for word in row:
            x = self.canvas.text(x, y, word, face, color) + gap

    def fit(self, text: str, face: Face, width: float) -> str:
        """As much of ``text`` as fits."""
        while text and self.canvas.measure(text, face) > width:
            text = text[:-1]
        return text

    def table(self, box: Box, face: Face) -> float:
        """Rows of words and numbers, some above a rule; return the y below them."""
        rng, y = self.rng, box.y
        columns, rows = int(rng.integers(2, 6)), int(rng.integers(3, 9))
        cell, step = box.width / columns, face.size * rng.uniform(1.4, 2.0)
        for row in range(rows):
            y += step
            if y > box.bottom:
                break
            if row == 0 or rng.random() < 0.3:
                self.canvas.rectangle(box.x, y + 0.4 * face.size, box.width, 0.7, self.ink(0.5))
            for column in range(columns):
                numeric = column and rng.random() < 0.5
                text = number(rng) if numeric else " ".join(self.wording.words(2))
                text = self.fit(text, face, cell - 4)
                self.canvas.text(box.x + column * cell, y, text, face, self.ink())
        return y

    def chart(self, box: Box, face: Face) -> float:
        """Labelled bars with their values; return the y below them."""
        rng, canvas = self.rng, self.canvas
        bars, height = int(rng.integers(3, 7)), min(rng.uniform(60, 160), box.bottom - box.y - 30)
        if height < 30:
            return box.y
        cell, base = box.width / bars, box.y + height
        for bar in range(bars):
            left, top = box.x + cell * bar, height * rng.uniform(0.1, 0.85)
            canvas.rectangle(left + 0.15 * cell, base - top, 0.7 * cell, top, tuple(rng.random(3)))
            label = self.fit(self.wording.words(1)[0], face, cell - 2)
            canvas.text(left + 2, base + 1.2 * face.size, label, face, self.ink())
            value = str(rng.integers(1000))
            canvas.text(left + 0.3 * cell, base - top - 3, value, face, self.ink())
        return base + 1.5 * face.size

    def heading(self, box: Box) -> float:
        """A title, perhaps numbered, larger than the body; return the y below it."""
        face = Face(self._pick(self.heads), self.body * self.rng.uniform(1.1, 2.2))
        words = self.wording.title().split()
        if self.rng.random() < 0.5:
            words.insert(0, f"{self.rng.integers(1, 12)}.{self.rng.integers(1, 9)}")
        return self.lines(words, replace(box, y=box.y + 0.5 * self.body), face)

    def bullets(self, box: Box, face: Face) -> float:
        """A list, partly numbered; return the y below it."""
        mark, y = self._pick(BULLETS), box.y
        for item in range(int(self.rng.integers(2, 6))):
            sign = mark if item % 2 or self.rng.random() < 0.7 else f"{item + 1}."
            words = [sign, *self.wording.sentence(int(self.rng.integers(2, 16)))]
            y = self.lines(
                words, Box(box.x + face.size, y, box.width - face.size, box.bottom), face
            )
        return y

    def column(self, box: Box) -> None:
        """Fill one column with blocks."""
        rng = self.rng
        face = Face(self._pick(self.family), self.body)
        justify = rng.random() < 0.5
        while box.y < box.bottom - 12:
            if self.style.per_block:
                self.body, self.leading = self._body_size(), rng.uniform(1.1, 1.6)
                self.family = self.heads = self._pick(self.families)
                face = Face(self._pick(self.family), self.body)
            kind = rng.random()
            if kind < 0.2:
                y = self.heading(box)
            elif kind < 0.68:
                words = self.wording.sentence(int(rng.integers(12, 90)))
                y = self.lines(words, box, face, justify=justify)
            elif kind < 0.82:
                y = self.bullets(box, face)
            elif kind < 0.92:
                y = self.table(box, face)
            else:
                y = self.chart(box, replace(face, size=max(SMALLEST, 0.9 * face.size)))
            box = replace(box, y=y + self.body * rng.uniform(0.3, 1.2))

    def margins(self, x: float, top: float, bottom: float) -> None:
        """A header and a page number."""
        face = Face(self.family[0], max(SMALLEST, 0.85 * self.body))
        self.canvas.text(x, top - 4, self.wording.title(), face, self.ink(0.5))
        folio = str(self.rng.integers(400))
        self.canvas.text(self.style.width / 2, bottom + face.size + 6, folio, face, self.ink())


def make_page(rng: np.random.Generator, style: Style) -> Page:
    """Draw one page."""
    writer = _Writer(rng, style)
    width, height = style.width, style.height
    margin = rng.uniform(0.03, 0.13) * width
    top, bottom = rng.uniform(0.03, 0.1) * height, height * rng.uniform(0.9, 0.97)
    if rng.random() < 0.5:
        writer.margins(margin, top, bottom)
    columns = int(rng.choice([1, 1, 1, 2, 2, 3])) if writer.body < 13 else 1
    gap = rng.uniform(12, 30)
    extent = (width - 2 * margin - gap * (columns - 1)) / columns
    for column in range(columns):
        writer.column(Box(margin + column * (extent + gap), top, extent, bottom))
    image, chars = writer.canvas.render()
    if not style.plain and (not style.usual or rng.random() < 0.35):
        image = wear(rng, image)
    inside = (chars[:, 0] > 0) & (chars[:, 0] < width) & (chars[:, 1] > 0) & (chars[:, 1] < height)
    words = [w for w in writer.canvas.words if 0 < w.y < height and w.xs[-1] < width]
    wording = writer.wording
    return Page(image, chars[inside], words, wording.language, wording.titles)
