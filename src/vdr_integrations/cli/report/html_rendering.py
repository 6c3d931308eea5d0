"""Prepares the data of the HTML report and renders ``assets/report.html.j2`` with it.

The file requests nothing from the network, and a browser runs only its own script. Jinja2 escapes
everything that comes from documents, file names and questions. Only our style and our script are
``Markup``, which is not escaped.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from markupsafe import Markup

from vdr_integrations.agents.excerpt import pieces_of
from vdr_integrations.cli.report.html_assets import asset, policy_hash, rendered
from vdr_integrations.cli.report.picture_uris import heat_uri, page_uri
from vdr_integrations.cli.terminal.clean_text import one_line
from vdr_integrations.look.shared_style import shared_style
from vdr_integrations.retrieval.main_words import main_words
from vdr_integrations.retrieval.word_match import CLEAR_MATCH, FULL_MATCH, strength_of
from vdr_integrations.types.hit import SCORE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from PIL import Image

    from vdr_integrations.agents.excerpt import Piece
    from vdr_integrations.retrieval import HeatMap, QueryWord
    from vdr_integrations.types import Hit
    from vdr_integrations.types.hit import ScoreKind

__all__ = ["ReportPage", "ReportQuestion", "report_html"]

_TEMPLATE = "report.html.j2"
_WIDE = 1.05
"""A page is laid out as a wide one if its width is at least this many times its height."""


class ReportPage(NamedTuple):
    """A hit and what the report shows of it.

    Attributes:
        hit: The page.
        place: Path of its document, as it is shown.
        excerpt: Part of its text layer; empty for scans.
        picture: RGB image; None if it is not available.
        heat: None if the index has no vectors of places on a page.
    """

    hit: Hit
    place: str
    excerpt: str
    picture: Image.Image | None
    heat: HeatMap | None


class ReportQuestion(NamedTuple):
    """A question and its pages, best first."""

    text: str
    pages: tuple[ReportPage, ...]

    @property
    def heat_maps(self) -> list[HeatMap]:
        """Those of its pages that have one."""
        return [page.heat for page in self.pages if page.heat is not None]


class _ShownWord(NamedTuple):
    """A word of the question, and how well it matches a page where it matches best.

    The match has one scale for all pages; the share is that of a full bar.
    """

    text: str
    match: float
    share: float


class _ShownImage(NamedTuple):
    """A page image, and a heat map for each button of its question."""

    uri: str
    width: int
    height: int
    is_dark: bool
    heat_uris: list[str]

    @property
    def shape(self) -> str:
        """Which layout suits the page."""
        return "wide" if self.width >= _WIDE * self.height else "tall"


class _ShownPage(NamedTuple):
    """A page as the template shows it. Texts are on one line, and not escaped yet."""

    document: str
    page_number: int
    total_pages: int
    printed_label: str
    score: str
    share: float | None
    path: str
    excerpt: list[Piece]
    image: _ShownImage | None
    words: list[_ShownWord] | None
    other_words: list[_ShownWord]

    @property
    def clear_words(self) -> list[str]:
        """The shown words that match clearly."""
        return [word.text for word in self.words or () if word.match >= CLEAR_MATCH]


class _Button(NamedTuple):
    """A choice of words for the colours: its key and name in the file, and its words."""

    key: str
    text: str
    words: tuple[str, ...] | None


class _ShownQuestion(NamedTuple):
    """A question as the template shows it. Texts are on one line, and not escaped yet.

    The highest score is None if it is not known. There are main words only if they are fewer than
    all words.
    """

    text: str
    highest: int | None
    main_words: list[str]
    buttons: list[_Button]
    pages: list[_ShownPage]


def report_html(
    questions: Sequence[ReportQuestion],
    *,
    is_late: bool,
    index_name: str,
    model: str,
    when: datetime,
) -> str:
    """The whole HTML file.

    Args:
        questions: In the order they were asked.
        is_late: Whether the index is one of late interaction, so that pages have heat maps.
        index_name: Name of the index.
        model: Name of the model that made its vectors.
        when: Date and time in the head of the report.
    """
    kind = _score_kind(questions, is_late=is_late)
    style, script = shared_style(), asset("script.js")
    return rendered(
        _TEMPLATE,
        questions=[_shown_question(question, kind=kind) for question in questions],
        page_count=sum(len(question.pages) for question in questions),
        is_late=is_late,
        score_kind=kind,
        score_name=SCORE_NAMES[kind],
        full_match=FULL_MATCH,
        clear_match=CLEAR_MATCH,
        index_name=one_line(index_name),
        model=one_line(model),
        made_iso=when.isoformat(timespec="seconds"),
        made=when.strftime("%d %B %Y, %H:%M").lstrip("0"),
        style=Markup(style),  # noqa: S704  # our own file
        style_hash=policy_hash(style),
        script=Markup(script),  # noqa: S704  # our own file
        script_hash=policy_hash(script),
    )


def _score_kind(questions: Sequence[ReportQuestion], *, is_late: bool) -> ScoreKind:
    """What the scores of a report are; one search makes them all."""
    for question in questions:
        for page in question.pages:
            if page.hit.score_kind:
                return page.hit.score_kind
    return "maxsim" if is_late else "cosine"


def _shown_question(question: ReportQuestion, *, kind: ScoreKind) -> _ShownQuestion:
    heat_maps = question.heat_maps
    words = heat_maps[0].words if heat_maps else ()
    main = main_words(heat_maps) if heat_maps else ()
    is_choice = len(main) < len(words)
    # The similarity of one token is at most 1; of a dense vector too.
    highest = 1 if kind == "cosine" else None
    if kind == "maxsim" and heat_maps:
        highest = len(heat_maps[0].tokens)
    buttons = list(_buttons(words, main if is_choice else ()))
    return _ShownQuestion(
        text=one_line(question.text),
        highest=highest,
        main_words=[one_line(word.text) for word in main] if is_choice else [],
        buttons=buttons,
        pages=[
            _shown_page(page, question.text, main=main, buttons=buttons, highest=highest)
            for page in question.pages
        ],
    )


def _buttons(words: Sequence[QueryWord], main: Sequence[QueryWord]) -> Iterator[_Button]:
    if main:
        yield _Button("main", "Main words", tuple(word.text for word in main))
    if words:
        yield _Button("all", "All words", None)
    for number, word in enumerate(words):
        yield _Button(str(number), one_line(word.text), (word.text,))


def _shown_page(
    page: ReportPage,
    question: str,
    *,
    main: Sequence[QueryWord],
    buttons: Sequence[_Button],
    highest: int | None,
) -> _ShownPage:
    hit, heat = page.hit, page.heat
    label = one_line(hit.page_label)
    others = [] if heat is None else [word for word in heat.words if word not in main]
    return _ShownPage(
        document=one_line(PurePath(hit.source).name or hit.source),
        page_number=hit.page_number,
        total_pages=hit.total_pages,
        printed_label="" if label == str(hit.page_number) else label,
        score=f"{hit.score:.{3 if highest == 1 else 2}f}",
        share=None if highest is None else max(0.0, min(1.0, hit.score / highest)),
        path=one_line(page.place),
        excerpt=pieces_of(one_line(page.excerpt), question),
        image=_image(page, buttons),
        words=None if heat is None else [_shown_word(heat, word) for word in main],
        other_words=[] if heat is None else [_shown_word(heat, word) for word in others],
    )


def _image(page: ReportPage, buttons: Sequence[_Button]) -> _ShownImage | None:
    if page.picture is None:
        return None
    heat = page.heat
    return _ShownImage(
        uri=page_uri(page.picture),
        width=page.picture.width,
        height=page.picture.height,
        is_dark=heat is not None and heat.on_dark,
        heat_uris=[] if heat is None else [heat_uri(heat, button.words) for button in buttons],
    )


def _shown_word(heat: HeatMap, word: QueryWord) -> _ShownWord:
    match = heat.peak(word)
    share = strength_of(np.array([match], np.float32))[0]
    return _ShownWord(one_line(word.text), match, float(share))
