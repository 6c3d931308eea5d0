"""Draw the first picture of the README: a question, the page it found, the words that matched.

    python demo/make_picture.py

It indexes the demo documents with ``nano-colqwen2``, asks one question, and writes
``docs/found-page.png``: the best page under its heat map.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

from PIL import Image, ImageDraw, ImageFont

from vdr_integrations import MultiVectorEncoder, PageSearcher
from vdr_integrations.index import sync_index
from vdr_integrations.retrieval.main_words import main_words

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ROOT / "demo" / "documents"
PICTURE = ROOT / "docs" / "found-page.png"
QUESTION = "How many librarians and volunteers does each branch have?"
COMPARED = 4
"""Hits among which the main words are chosen, as in a report of four pages."""

WIDTH, MARGIN, COLOURS = 1100, 46, 256
FIELD_TOP, FIELD_HEIGHT, PAGE_TOP, FOOT = 34, 84, 196, 34
INK, QUIET, LINE, VIOLET, MARK = "#1d2033", "#5d6070", "#cfd1dc", "#6d2a8c", "#ffc9a3"
GAP = 4  # what a mark is wider than its word, on each side


def main() -> int:
    """Write the picture; returns the exit code."""
    encoder = MultiVectorEncoder.load("nano-colqwen2", dtype="float32")
    with (
        tempfile.TemporaryDirectory() as folder,
        PageSearcher(Path(folder) / "index", encoder=encoder) as searcher,
    ):
        sync_index(searcher.create(), encoder, [DOCUMENTS])
        hits = searcher.search(QUESTION, k=COMPARED)
        heat_maps = [hit.heatmap() for hit in hits]
        words = tuple(word.text for word in main_words(heat_maps))
        found = (
            f"{Path(hits[0].source).name}, page {hits[0].page_number}: "
            f"the best of {searcher.index.count_pages()} pages"
        )
        picture = framed(heat_maps[0].image(words), words, found)
    picture.quantize(COLOURS, kmeans=COLOURS).save(PICTURE, optimize=True)
    sys.stdout.write(f"{PICTURE.name}: {found}; {', '.join(words)}\n")
    return 0


def framed(page: Image.Image, words: tuple[str, ...], found: str) -> Image.Image:
    """The page below a field with the question, on white with a border, for dark screens too."""
    card = Image.new("RGB", (WIDTH, PAGE_TOP + page.height + MARGIN + FOOT), "white")
    pen = ImageDraw.Draw(card)
    pen.rectangle((0, 0, card.width - 1, card.height - 1), outline=LINE, width=2)
    _question(card, words)
    pen.text((MARGIN, PAGE_TOP - 44), found, INK, _font(25))
    pen.text(
        (MARGIN, card.height - FOOT - 24),
        "The colours show where the marked words match the picture of the page. No OCR was used.",
        QUIET,
        _font(22),
    )
    card.paste(page, (MARGIN, PAGE_TOP))
    pen.rectangle(
        (MARGIN, PAGE_TOP, MARGIN + page.width, PAGE_TOP + page.height), outline=LINE, width=2
    )
    return card


def _question(card: Image.Image, words: tuple[str, ...]) -> None:
    pen, font = ImageDraw.Draw(card), _font(31)
    box = (MARGIN, FIELD_TOP, card.width - MARGIN, FIELD_TOP + FIELD_HEIGHT)
    pen.rounded_rectangle(box, FIELD_HEIGHT // 2, outline=VIOLET, width=4)
    x, middle = MARGIN + 34, FIELD_TOP + FIELD_HEIGHT // 2
    pen.ellipse((x, middle - 17, x + 26, middle + 9), outline=VIOLET, width=4)
    pen.line((x + 22, middle + 5, x + 34, middle + 17), VIOLET, 5)
    x += 52
    for word in QUESTION.split():
        width = round(pen.textlength(word, font))
        if word.strip("?").lower() in words:
            marked = (x - GAP, middle - 22, x + width + GAP, middle + 24)
            pen.rounded_rectangle(marked, 8, fill=MARK)
        pen.text((x, middle), word, INK, font, anchor="lm")
        x += width + round(pen.textlength(" ", font)) + GAP


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


if __name__ == "__main__":
    sys.exit(main())
