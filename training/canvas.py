"""A page to write on: PyMuPDF renders it and every character's place is known exactly.

One PDF document per process holds all fonts; a page is a fresh content stream in it. That is
thirty times faster than building a document per page, and the pixels are those that PyMuPDF
gives for any PDF with embedded fonts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pymupdf

from training.lexicon import TOKEN, fold

if TYPE_CHECKING:
    from collections.abc import Sequence

CHARSET = [chr(c) for c in (*range(0x20, 0x7F), *range(0xA0, 0x180))] + list(
    "\u2013\u2014\u2018\u2019\u201c\u201d\u2022\u2026\u20ac"
)
CLASSES = "\0" + "abcdefghijklmnopqrstuvwxyz0123456789ß.,-:()/"  # \0: no character
OTHER = len(CLASSES)  # any other printed character
NUM_CLASSES = OTHER + 1
FONT_FOLDERS = ("liberation", "dejavu", "freefont", "lato", "crosextra")
HARD_TO_SEE = ("Hairline", "Thin", "ExtraLight", "MathTeX")

Color = tuple[float, float, float]


@cache
def char_class(char: str) -> int:
    """Class of a printed character, blind to case and accents."""
    base = fold(char).replace("\u2013", "-").replace("\u2014", "-")[:1]
    found = CLASSES.find(base) if base else -1
    return found if found > 0 else OTHER


def find_fonts(root: Path = Path("/usr/share/fonts/truetype")) -> list[Path]:
    """Font files of Debian's Liberation, DejaVu, FreeFont, Lato and Croscore-extra packages."""
    files = sorted(p for folder in FONT_FOLDERS for p in (root / folder).glob("*.ttf"))
    fonts = [p for p in files if not any(name in p.name for name in HARD_TO_SEE)]
    if not fonts:
        raise FileNotFoundError(f"no fonts of {FONT_FOLDERS} under {root}")
    return fonts


@dataclass(frozen=True)
class Face:
    """A font by its index, its size and extra space between characters, in pixels."""

    font: int
    size: float
    spacing: float = 0.0


@dataclass
class Word:
    """A printed word: folded text, the x centre of every character, y centre and font size."""

    text: str
    xs: np.ndarray
    y: float
    size: float


@dataclass
class Page:
    """A rendered page with its annotations, all in pixels."""

    image: np.ndarray  # (height, width, 3) uint8
    chars: np.ndarray  # (n, 3): x, y, class
    words: list[Word]
    language: str
    titles: list[str] = field(default_factory=list)


class _Font:
    """Glyph ids and advance widths of one font for the characters of CHARSET."""

    def __init__(self, path: Path) -> None:
        font = pymupdf.Font(fontfile=str(path))
        self.name = path.stem
        self.glyph = {c: font.has_glyph(ord(c)) for c in CHARSET}
        self.advance = {c: font.glyph_advance(ord(c)) for c in CHARSET}


class Canvas:
    """Collects text and shapes of one page, then renders them."""

    _document: pymupdf.Document | None = None
    fonts: ClassVar[list[_Font]] = []

    @classmethod
    def _open(cls) -> pymupdf.Page:
        if cls._document is None:
            cls._document = pymupdf.open()
            page = cls._document.new_page()
            for index, path in enumerate(find_fonts()):
                page.insert_font(fontname=f"F{index}", fontfile=str(path))
                cls.fonts.append(_Font(path))
            page.insert_text((5, 5), " ")
        return cls._document[0]

    def __init__(self, width: int, height: int, background: Color = (1, 1, 1)) -> None:
        self._open()
        self.width, self.height = width, height
        self._ops: list[str] = []
        self._chars: list[tuple[float, float, int]] = []
        self.words: list[Word] = []
        self.rectangle(0, 0, width, height, background)

    def rectangle(self, x: float, y: float, w: float, h: float, color: Color) -> None:
        """Fill a rectangle; ``y`` is its top."""
        red, green, blue = color
        self._ops.append(
            f"{red:.2f} {green:.2f} {blue:.2f} rg {x:.1f} {self.height - y - h:.1f} "
            f"{w:.1f} {h:.1f} re f"
        )

    def measure(self, text: str, face: Face) -> float:
        """Width of ``text`` in pixels."""
        advance = self.fonts[face.font].advance
        return sum(advance.get(c, 0.5) for c in text) * face.size + face.spacing * len(text)

    def text(self, x: float, y: float, text: str, face: Face, color: Color) -> float:
        """Print ``text`` (no line breaks) with its baseline at ``y``; return where it ends."""
        font, size, spacing = self.fonts[face.font], face.size, face.spacing
        text = "".join(c if font.glyph.get(c) else " " for c in text)
        red, green, blue = color
        codes = "".join(f"{font.glyph[c]:04x}" for c in text)
        self._ops.append(
            f"BT /F{face.font} {size:.2f} Tf {spacing:.2f} Tc {red:.2f} {green:.2f} {blue:.2f} rg "
            f"1 0 0 1 {x:.2f} {self.height - y:.2f} Tm <{codes}> Tj ET"
        )
        middle = y - 0.3 * size
        advances = np.array([font.advance[c] for c in text]) * size
        starts = x + np.cumsum(advances + spacing) - advances - spacing
        centres = (starts + advances / 2).astype(np.float32)
        for match in TOKEN.finditer(fold(text)):
            xs = centres[match.start() : match.end()]
            self.words.append(Word(match.group(), xs, middle, size))
        self._chars += [
            (centre, middle, char_class(char))
            for char, centre in zip(text, centres, strict=True)
            if not char.isspace()
        ]
        return float(starts[-1] + advances[-1]) if len(text) else x
        return x - face.advance[" "] * size - spacing

    def render(self) -> tuple[np.ndarray, np.ndarray]:
        """The image (height, width, 3) and the characters (n, 3: x, y, class)."""
        page = self._open()
        document = page.parent
        page.set_mediabox(pymupdf.Rect(0, 0, self.width, self.height))
        document.update_stream(page.get_contents()[0], "\n".join(self._ops).encode(), compress=0)
        page = document.reload_page(page)
        pixmap = page.get_pixmap(alpha=False)
        image = np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.h, pixmap.w, 3).copy()
        return image, np.array(self._chars, dtype=np.float32).reshape(-1, 3)


def font_families(names: Sequence[str]) -> dict[str, list[int]]:
    """Font indices grouped by family (the name before the first hyphen or style word)."""
    families: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        family = name.split("-")[0]
        for style in ("Bold", "Oblique", "Italic"):
            family = family.replace(style, "") if family.startswith("Free") else family
        families.setdefault(family, []).append(index)
    return families
