"""Is the hottest cell of a heat map on the word of the question?

    python -m benchmarks.heatmap --pages 100

Pages are generated in several fonts, sizes and layouts, of words as frequent as in English, and
encoded with `nano-colqwen2`. For each page, the question is one content word that is printed there
once, with no other word of the same first four letters: alone, and in a short question. Its box in
the text layer is the truth. The hottest cell is on the word if it overlaps the word's box
(tolerance zero), strictly if the middle line of the word runs through it, and within one cell if it
or one of its eight neighbours overlaps the box.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import pymupdf
from wordfreq import top_n_list, word_frequency, zipf_frequency

from benchmarks.timing import machine
from vdr_integrations import MultiVectorEncoder, open_pdf
from vdr_integrations.index import similarity_grids
from vdr_integrations.retrieval import SimilarityGrids
from vdr_integrations.retrieval.heatmap import HeatMap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL import Image

_FONTS = ("helv", "hebo", "tiro", "tibo", "cour", "heit")
_SIZES_PT = (12, 14, 16, 18, 20, 24)
_PAPERS = ((595, 842), (842, 595), (612, 792))
_MARGIN_PT = 50
_QUESTIONS = ("How did the {} change?", "Where is {} explained?", "What do we know about {}?")
_SHORTEST = 5
_STEM = 4
_COMMON = 5.0
"""On the Zipf scale: the few hundred words above are in every text; `nano` weighs them little."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A generated page and the box of the word that is asked for, as fractions of the page."""

    pdf: bytes
    word: str
    size_pt: int
    box: tuple[float, float, float, float]


class Vocabulary:
    """English words, drawn as often as they are written."""

    def __init__(self) -> None:
        """Of wordfreq's list."""
        self.words = [w for w in top_n_list("en", 20_000) if w.isascii() and w.isalpha()]
        frequencies = [word_frequency(word, "en") for word in self.words]
        self._sums = list(accumulate(frequencies))
        self._content = [w for w in self.words if _is_content(w)]

    def text(self, rng: random.Random, count: int) -> list[str]:
        """Words of running text."""
        return rng.choices(self.words, cum_weights=self._sums, k=count)

    def labels(self, rng: random.Random, count: int) -> list[str]:
        """Different content words, for tables, drawings and titles."""
        return rng.sample(self._content, count)


def samples(count: int, *, seed: int, sizes_pt: Sequence[int] = _SIZES_PT) -> Iterator[Sample]:
    """Pages in turn of one column, two columns, a table and a drawing with labels."""
    rng, vocabulary = random.Random(seed), Vocabulary()
    layouts = (_column, _two_columns, _table, _drawing)
    number = 0
    while number < count:
        width, height = rng.choice(_PAPERS)
        size, font = rng.choice(sizes_pt), rng.choice(_FONTS)
        with pymupdf.open() as document:
            page = document.new_page(width=width, height=height)
            layouts[number % len(layouts)](page, rng, vocabulary, font, size)
            once = _printed_once(page)
            if not once:
                continue
            word, (x0, y0, x1, y1) = rng.choice(once)
            box = (x0 / width, y0 / height, x1 / width, y1 / height)
            yield Sample(document.tobytes(), word, size, box)
            number += 1


def _printed_once(page: pymupdf.Page) -> list[tuple[str, tuple[float, float, float, float]]]:
    """Content words with their boxes that share their first letters with no other word."""
    printed = [(str(word[4]).lower().strip(".,"), word[:4]) for word in page.get_text("words")]
    of_questions = " ".join(_QUESTIONS).lower().split()
    stems = Counter(word[:_STEM] for word in (*(word for word, _ in printed), *of_questions))
    return [(word, box) for word, box in printed if stems[word[:_STEM]] == 1 and _is_content(word)]


def _is_content(word: str) -> bool:
    return len(word) >= _SHORTEST and word.isalpha() and zipf_frequency(word, "en") < _COMMON


def _sentence(rng: random.Random, vocabulary: Vocabulary) -> str:
    return f"{' '.join(vocabulary.text(rng, rng.randint(6, 14))).capitalize()}."


def _filled(
    page: pymupdf.Page,
    rng: random.Random,
    vocabulary: Vocabulary,
    *,
    box: pymupdf.Rect,
    font: str,
    size: int,
) -> None:
    """Paragraphs from the top of a box down until it is full."""
    top = box.y0
    while top < box.y1 - 3 * size:
        text = " ".join(_sentence(rng, vocabulary) for _ in range(rng.randint(2, 4)))
        room = pymupdf.Rect(box.x0, top, box.x1, box.y1)
        left = page.insert_textbox(room, text, fontname=font, fontsize=size)
        if left < 0:
            return
        top = box.y1 - left + size


def _column(
    page: pymupdf.Page, rng: random.Random, vocabulary: Vocabulary, font: str, size: int
) -> None:
    title = " ".join(vocabulary.labels(rng, 3)).title()
    page.insert_text((_MARGIN_PT, 75), title, fontname="hebo", fontsize=2 * size)
    right, bottom = page.rect.width - _MARGIN_PT, page.rect.height - _MARGIN_PT
    body = pymupdf.Rect(_MARGIN_PT, 100, right, bottom)
    _filled(page, rng, vocabulary, box=body, font=font, size=size)


def _two_columns(
    page: pymupdf.Page, rng: random.Random, vocabulary: Vocabulary, font: str, size: int
) -> None:
    middle = page.rect.width / 2
    for left, right in ((_MARGIN_PT, middle - 12), (middle + 12, page.rect.width - _MARGIN_PT)):
        box = pymupdf.Rect(left, _MARGIN_PT, right, page.rect.height - _MARGIN_PT)
        _filled(page, rng, vocabulary, box=box, font=font, size=size)


def _table(
    page: pymupdf.Page, rng: random.Random, vocabulary: Vocabulary, font: str, size: int
) -> None:
    rows, columns = rng.randint(8, 16), 4
    step = (page.rect.width - 2 * _MARGIN_PT) / columns
    for row in range(rows):
        y = 90 + row * 2.2 * size
        page.draw_line((_MARGIN_PT, y + 6), (page.rect.width - _MARGIN_PT, y + 6), width=0.5)
        for column in range(columns):
            entry = (
                str(rng.randint(1, 9999)) if row and column % 2 else vocabulary.labels(rng, 1)[0]
            )
            at = (_MARGIN_PT + column * step, y)
            page.insert_text(at, entry, fontname=font, fontsize=size)


def _drawing(
    page: pymupdf.Page, rng: random.Random, vocabulary: Vocabulary, font: str, size: int
) -> None:
    """A drawing: boxes with a word or two in each."""
    across, down = 3, 6
    width, height = page.rect.width / across, page.rect.height / down
    for n in range(across * down):
        left, top = (n % across) * width, (n // across) * height
        page.draw_rect(
            pymupdf.Rect(left + 12, top + 12, left + width - 12, top + height - 12),
            color=(0.3, 0.4, 0.6),
            fill=(0.93, 0.95, 0.98),
        )
        for line, label in enumerate(vocabulary.labels(rng, 2)):
            at = (left + 20, top + height / 2 + line * 1.4 * size)
            page.insert_text(at, label, fontname=font, fontsize=size)


def heat_maps(
    encoder: MultiVectorEncoder, questions: list[str], page: Image.Image
) -> Iterator[HeatMap]:
    """The heat map of each question on a page."""
    (matrix,) = encoder.encode_pages([page])
    layout = encoder.page_layout(page.height, page.width)
    for question, query in zip(questions, encoder.encode_queries(questions), strict=True):
        grids = similarity_grids(query, matrix, layout)
        tokens = tuple(encoder.query_tokens(question))
        yield HeatMap(SimilarityGrids(tokens, grids), page, prompt=encoder.checkpoint.query_prompt)


def judged(
    drawn: HeatMap, box: tuple[float, float, float, float], *, token: str | None = None
) -> tuple[bool, bool, bool]:
    """Whether the hottest cell is on the word: overlapping, strictly, and within one cell."""
    strength = drawn.strength(token)
    rows, columns = strength.shape
    row, column = np.unravel_index(int(strength.argmax()), strength.shape)
    left, top, right, bottom = (
        side * cells for side, cells in zip(box, (columns, rows) * 2, strict=True)
    )

    def overlaps(reach: int) -> bool:
        across = left < column + 1 + reach and right > column - reach
        return across and top < row + 1 + reach and bottom > row - reach

    strict = overlaps(0) and row <= (top + bottom) / 2 < row + 1
    return overlaps(0), strict, overlaps(1)


def main() -> None:
    """Print the shares with machine and versions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="nano-colqwen2")
    parser.add_argument("--dtype", default="float32", help="the same figures on every CPU")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=_SIZES_PT, help="of print, in points"
    )
    chosen = parser.parse_args()
    encoder = MultiVectorEncoder.load(chosen.model, dtype=chosen.dtype)
    results: dict[str, list[tuple[bool, bool, bool]]] = {
        "the word, asked alone": [],
        "all words of a question": [],
        "the word, chosen in the question": [],
    }
    by_size: dict[int, list[bool]] = {}
    for number, sample in enumerate(samples(chosen.pages, seed=chosen.seed, sizes_pt=chosen.sizes)):
        with open_pdf(sample.pdf) as document:
            page = document[0].render(encoder.pixel_budget)
        question = _QUESTIONS[number % len(_QUESTIONS)].format(sample.word)
        alone, asked = heat_maps(encoder, [sample.word, question], page)
        verdicts = (
            judged(alone, sample.box),
            judged(asked, sample.box),
            judged(asked, sample.box, token=sample.word),
        )
        for found, verdict in zip(results.values(), verdicts, strict=True):
            found.append(verdict)
        by_size.setdefault(sample.size_pt, []).append(verdicts[0][0])
    print(machine())
    print(f"{chosen.model}, {chosen.pages} pages, seed {chosen.seed}; hottest cell on the word:")
    for asked, found in results.items():
        overlap, strict, near = (sum(column) for column in zip(*found, strict=True))
        print(
            f"  {asked:32}  overlaps its box {overlap}, on its middle line {strict}, "
            f"within one cell {near}, of {len(found)}"
        )
    for size, found in sorted(by_size.items()):
        print(f"  alone, {size} pt:  overlaps its box {sum(found)}, of {len(found)}")


if __name__ == "__main__":
    main()
