"""Manuals to learn retrieval by: PDFs with an outline, set from manual pages in five languages.

The text is that of Debian's manpages packages. A manual joins the pages of a few commands or
functions; each is a chapter, and some paragraphs get a heading of their own first words. Nothing
of the text is kept in the checkpoint but what its weights learn from it. Headings stand out by
size, weight and colour, or by weight alone, and so do some running heads and words, which are none.
"""

from __future__ import annotations

import html
import re
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pymupdf

from training.figures import make_figure
from training.lexicon import split_words, weight
from training.roff import chapters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from training.roff import Chapter

FONT_ROOTS = (Path("/usr/share/fonts"), Path("/usr/share/texmf/fonts/opentype/public"))
FAMILIES = {  # name: regular, bold
    "liberation-serif": ("LiberationSerif-Regular.ttf", "LiberationSerif-Bold.ttf"),
    "liberation-sans": ("LiberationSans-Regular.ttf", "LiberationSans-Bold.ttf"),
    "dejavu-serif": ("DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf"),
    "dejavu-sans": ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
    "free-serif": ("FreeSerif.ttf", "FreeSerifBold.ttf"),
    "free-sans": ("FreeSans.ttf", "FreeSansBold.ttf"),
    "lato": ("Lato-Regular.ttf", "Lato-Bold.ttf"),
    "carlito": ("Carlito-Regular.ttf", "Carlito-Bold.ttf"),
    "caladea": ("Caladea-Regular.ttf", "Caladea-Bold.ttf"),
    "latin-modern": ("lmroman10-regular.otf", "lmroman10-bold.otf"),
    "latin-modern-sans": ("lmsans10-regular.otf", "lmsans10-bold.otf"),
    "termes": ("texgyretermes-regular.otf", "texgyretermes-bold.otf"),
    "pagella": ("texgyrepagella-regular.otf", "texgyrepagella-bold.otf"),
    "heros": ("texgyreheros-regular.otf", "texgyreheros-bold.otf"),
}
MONO = ("LiberationMono-Regular.ttf", "DejaVuSansMono.ttf", "lmmono10-regular.otf")
PAPERS = ((595, 842), (612, 792))
SCREENS = ((720, 405), (720, 540), (842, 595))
CHAPTER_WORDS = (250, 900)
SLIDE_WORDS = (25, 90)
DECKS = 0.25  # share of manuals that are slides
FIGURED = 3  # every so many manuals, one has figures
FIGURES = (0.08, 0.4)  # how often one follows a paragraph there


class Manual(NamedTuple):
    """A PDF, and what was asked of it."""

    pdf: bytes
    language: str
    titles: list[str]
    pages: list[int]  # of each title, 0-based
    is_deck: bool  # slides


def own_heading(rng: np.random.Generator, text: str) -> str | None:
    """A heading of a paragraph: some of its first words that say something."""
    words = re.findall(r"[^\W_][\w'\u2019.-]*[^\W_]|[^\W_]", text)[:25]
    told = [i for i, w in enumerate(words) if any(weight(p) > 0.5 for p in split_words(w))]
    if len(told) < 3:
        return None
    first = int(rng.integers(len(told) - 1))
    last = min(len(told) - 1, first + int(rng.integers(1, 4)))
    picked = words[told[first] : told[last] + 1]
    if len(picked) > 8:
        picked = [words[i] for i in told[first : last + 1]]
    title = " ".join(picked)
    return title[:1].upper() + title[1:]


class _Body:
    """The manual as HTML, its headings by id."""

    def __init__(self, rng: np.random.Generator, *, is_deck: bool, is_figured: bool) -> None:
        self.rng = rng
        self.length = SLIDE_WORDS if is_deck else CHAPTER_WORDS
        self.breaks = is_deck
        self.parts: list[str] = []
        self.titles: list[str] = []
        self.numbers = [0, 0]
        self.is_numbered = rng.random() < 0.7
        self.marks = float(rng.choice([0.0, 0.02, 0.05]))
        self.drawn = rng.spawn(1)[0]  # so that manuals without figures are as they were
        self.often = float(self.drawn.uniform(*FIGURES)) if is_figured else 0.0
        self.figures: list[bytes] = []

    def figure(self) -> None:
        """A drawing, as wide as the text or not."""
        width, height = self.drawn.uniform((200, 80), (900, 420)).astype(int)
        share = self.drawn.uniform(0.3, 1.0)
        self.parts.append(f'<p><img src="figure{len(self.figures)}.png" width="{share:.0%}"></p>')
        self.figures.append(make_figure(self.drawn, int(width), int(height)))

    def marked(self, words: Sequence[str]) -> str:
        """Words as HTML, some of them in bold print."""
        strong = self.rng.random(len(words)) < self.marks
        escaped = [html.escape(word) for word in words]
        return " ".join(
            f"<strong>{w}</strong>" if s else w for w, s in zip(escaped, strong, strict=True)
        )

    def heading(self, level: int, title: str) -> None:
        if level == 1:
            self.numbers = [self.numbers[0] + 1, 0]
        else:
            self.numbers[1] += 1
        number = ".".join(map(str, self.numbers[:level])) + " " if self.is_numbered else ""
        self.parts.append(
            f'<h{level} id="t{len(self.titles)}">{html.escape(number + title)}</h{level}>'
        )
        self.titles.append(title)

    def chapter(self, chapter: Chapter) -> None:
        rng = self.rng
        about = chapter.about if rng.random() < 0.6 else f"{chapter.name}: {chapter.about}"
        self.heading(1, about[:1].upper() + about[1:120])
        left = int(rng.integers(*self.length))
        for kind, text in chapter.blocks:
            if left <= 0:
                break
            if kind == "title":
                self.heading(2, text.capitalize() if text.isupper() else text)
            elif kind == "common":
                self.parts.append(f"<h3>{html.escape(text.capitalize())}</h3>")
            elif kind == "code":
                self.parts.append(f"<pre>{html.escape(text[:800])}</pre>")
            else:
                if len(text) > 300 and rng.random() < 0.3:
                    own = own_heading(rng, text)
                    if own is not None:
                        self.heading(2, own)
                self.parts.append(f"<p>{self.marked(text.split()[: self.length[1]])}</p>")
                if self.drawn.random() < self.often:
                    self.figure()
            left -= len(text.split())
        if self.breaks:
            self.parts.append('<p class="end"></p>')


def make_manual(
    rng: np.random.Generator, parts: Sequence[Chapter], language: str, *, is_figured: bool = False
) -> Manual:
    """Set chapters as a PDF in a style of its own: a manual, or slides in large print."""
    is_deck = rng.random() < DECKS
    body = _Body(rng, is_deck=is_deck, is_figured=is_figured)
    for part in parts:
        body.chapter(part)
    names = [name for name in FAMILIES if _font(FAMILIES[name][0])]
    family, heads = (FAMILIES[names[int(i)]] for i in rng.integers(len(names), size=2))
    heads = family if rng.random() < 0.6 else heads
    mono = next(MONO[i] for i in rng.permutation(len(MONO)) if _font(MONO[i]))
    archive = pymupdf.Archive()
    for font in {*family, *heads, mono}:
        archive.add(_font(font).read_bytes(), font)
    for number, figure in enumerate(body.figures):
        archive.add(figure, f"figure{number}.png")
    size = float(rng.uniform(14.0, 24.0) if is_deck else rng.uniform(9.0, 12.0))
    faces = zip(("body", "strong", "head", "mono"), (*family, heads[1], mono), strict=True)
    css = "".join(f"@font-face {{font-family: {n}; src: url({f});}}" for n, f in faces)
    # names of families that PyMuPDF has a face of its own for would be passed over
    colour = rng.choice(["#000", "#000", "#123a5c", "#7a1f1f", "#1f5c2e", "#555"])
    css += (
        f"h1, h2, h3 {{color: {colour}}} strong {{font-family: strong; font-weight: normal}}"
        f"body {{font-family: body; font-size: {size:.1f}pt; line-height: "
        f"{rng.uniform(1.05, 1.4):.2f}; text-align: {rng.choice(['left', 'justify'])}}}"
        f"h1 {{font-family: head; font-size: {size * rng.uniform(1.5, 2.2):.1f}pt}}"
        f"h2 {{font-family: head; font-size: {size * rng.uniform(1.0, 1.5):.1f}pt}}"
        f"h3 {{font-family: strong; font-weight: normal; font-size: {size:.1f}pt}}"
        ".end {page-break-after: always}"
        f"pre {{font-family: mono; font-size: {size * 0.85:.1f}pt}}"
    )
    story = pymupdf.Story("".join(body.parts), user_css=css, archive=archive)
    papers = SCREENS if is_deck else PAPERS
    paper = papers[min(int(rng.exponential(0.6)), len(papers) - 1)]
    margin = float(rng.uniform(30, 50) if is_deck else rng.uniform(45, 85))
    whole = pymupdf.Rect(margin, margin, paper[0] - margin, paper[1] - margin)
    pages, count = _place(story, pymupdf.Rect(0, 0, *paper), whole)
    document = pymupdf.open("pdf", pages.pop("pdf"))
    if rng.random() < 0.7:
        _add_running_heads(rng, document, parts[0].name, margin, size)
    document.set_toc([[1, title, pages[f"t{i}"] + 1] for i, title in enumerate(body.titles)])
    assert len(document) == count  # noqa: S101
    pdf = document.tobytes(garbage=3, deflate=True)
    places = [pages[f"t{i}"] for i in range(len(body.titles))]
    return Manual(pdf, language, body.titles, places, is_deck)


def _add_running_heads(
    rng: np.random.Generator, document: pymupdf.Document, title: str, margin: float, size: float
) -> None:
    """What every page says above and below its text: a title, a rule, a number."""
    font, is_ruled = rng.choice(["helv", "hebo", "tiro", "tibo", "tiit"]), rng.random() < 0.5
    style = {"fontsize": size * rng.uniform(0.8, 1.0), "fontname": str(font)}
    for index, page in enumerate(document):
        width, height = page.rect.width, page.rect.height
        page.insert_text((margin, margin - 14), title, **style)
        page.insert_text((width / 2, height - margin + 22), str(index + 1), **style)
        if is_ruled:
            page.draw_line((margin, margin - 10), (width - margin, margin - 10), width=0.5)


def _place(story: pymupdf.Story, paper: pymupdf.Rect, frame: pymupdf.Rect) -> tuple[dict, int]:
    """Draw a story page by page; where its headings came to stand, and ``pdf``."""
    places: dict = {}
    file = BytesIO()
    writer = pymupdf.DocumentWriter(file)
    count, more = 0, True
    met: list[str] = []

    def note(position: Any) -> None:  # untyped in PyMuPDF, which counts parameters
        if position.id:
            met.append(position.id)

    while more:
        device = writer.begin_page(paper)
        more, _ = story.place(frame)

        met.clear()
        story.element_positions(note)
        for name in met:
            places.setdefault(name, count)
        story.draw(device)
        writer.end_page()
        count += 1
    writer.close()
    places["pdf"] = file.getvalue()
    return places, count


@cache
def _font(name: str) -> Path | None:
    return next((found for root in FONT_ROOTS for found in root.rglob(name)), None)


def manuals(root: Path, language: str, *, seed: int, count: int) -> Iterator[Manual]:
    """Manuals of a language; chapters come once until all have come."""
    rng = np.random.default_rng((seed, sum(language.encode())))
    known = chapters(root, language)
    order: list[int] = []
    for number in range(count):
        wanted = int(rng.integers(5, 11))
        while len(order) < wanted:
            start = rng.permutation(len(known))
            order += [int(i) for i in start]
        # neighbours by name are near in matter: they make a manual hard to search
        if rng.random() < 0.5:
            first = int(rng.integers(max(1, len(known) - wanted)))
            picked = list(range(first, min(len(known), first + wanted)))
        else:
            picked, order = order[:wanted], order[wanted:]
        is_figured = number % FIGURED == FIGURED - 1
        yield make_manual(rng, [known[i] for i in picked], language, is_figured=is_figured)
