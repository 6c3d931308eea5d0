"""Prepares the data of the HTML report and renders ``assets/report.html.j2`` with it.

The file requests nothing from the network, and a browser runs only its own script. Jinja2 escapes
everything that comes from documents, file names and questions. Only our style and our script are
``Markup``, which is not escaped.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from vdr_integrations.cli.report.picture_uris import heat_uri, page_uri
from vdr_integrations.cli.terminal.clean_text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from PIL import Image

    from vdr_integrations.retrieval import HeatMap, QueryWord
    from vdr_integrations.types import Hit

__all__ = ["ReportPage", "ReportQuestion", "report_html"]

_TEMPLATE = "report.html.j2"
_WORDS_LISTED = 6
_FAINT = 0.3
"""Words below this share of the strongest word are not listed; the switch has them all."""


class ReportPage(NamedTuple):
    """A hit and what the report shows of it.

    Attributes:
        hit: The page.
        place: Path of its document, as it is shown.
        excerpt: Part of its text layer; empty for scans.
        picture: RGB image; None if it is not available.
        heat: None if the index has no vectors of places on a page.
        is_maxsim: Whether the score is a MaxSim score (late interaction), not a cosine.
    """

    hit: Hit
    place: str
    excerpt: str
    picture: Image.Image | None
    heat: HeatMap | None
    is_maxsim: bool


class ReportQuestion(NamedTuple):
    """A question and its pages, best first."""

    text: str
    pages: tuple[ReportPage, ...]

    @property
    def words(self) -> tuple[QueryWord, ...]:
        """The words that heat maps can be switched to; empty without heat maps."""
        return next((page.heat.words for page in self.pages if page.heat is not None), ())


class _ShownText(NamedTuple):
    """A piece of an excerpt."""

    text: str
    is_marked: bool


class _ShownWord(NamedTuple):
    """A word of the question, and how strongly it matches a page where it matches best."""

    text: str
    peak: float
    share: float


class _ShownImage(NamedTuple):
    """A page image, and its heat maps: first of all words, then of each word."""

    uri: str
    width: int
    height: int
    is_dark: bool
    heat_uris: list[str]


class _ShownPage(NamedTuple):
    """A page as the template shows it. Texts are on one line, and not escaped yet."""

    document: str
    page_number: int
    total_pages: int
    printed_label: str
    score_kind: str
    score: str
    share: float
    path: str
    excerpt: list[_ShownText]
    image: _ShownImage | None
    words: list[_ShownWord] | None


class _ShownQuestion(NamedTuple):
    """A question as the template shows it. Texts are on one line, and not escaped yet."""

    text: str
    words: list[str]
    pages: list[_ShownPage]


def report_html(
    questions: Sequence[ReportQuestion], *, index_name: str, model: str, when: datetime
) -> str:
    """The whole HTML file.

    Args:
        questions: In the order they were asked.
        index_name: Name of the index.
        model: Name of the model that made its vectors.
        when: Date and time in the head of the report.
    """
    style, script = (_asset(name) for name in ("style.css", "script.js"))
    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(_TEMPLATE).render(
        questions=[_shown_question(question) for question in questions],
        page_count=sum(len(question.pages) for question in questions),
        index_name=one_line(index_name),
        model=one_line(model),
        made_iso=when.isoformat(timespec="seconds"),
        made=when.strftime("%d %B %Y, %H:%M").lstrip("0"),
        style=Markup(style),  # noqa: S704  # our own file
        style_hash=_hash(style),
        script=Markup(script),  # noqa: S704  # our own file
        script_hash=_hash(script),
    )


def _shown_question(question: ReportQuestion) -> _ShownQuestion:
    best = max((page.hit.score for page in question.pages), default=0.0)
    return _ShownQuestion(
        text=one_line(question.text),
        words=[one_line(word.text) for word in question.words],
        pages=[_shown_page(page, question, best_score=best) for page in question.pages],
    )


def _shown_page(page: ReportPage, question: ReportQuestion, *, best_score: float) -> _ShownPage:
    hit = page.hit
    label = one_line(hit.page_label)
    share = max(0.0, min(1.0, hit.score / best_score)) if best_score > 0 else 0.0
    return _ShownPage(
        document=one_line(PurePath(hit.source).name or hit.source),
        page_number=hit.page_number,
        total_pages=hit.total_pages,
        printed_label="" if label == str(hit.page_number) else label,
        score_kind="MaxSim" if page.is_maxsim else "Cosine",
        score=f"{hit.score:.{2 if page.is_maxsim else 3}f}",
        share=share,
        path=one_line(page.place),
        excerpt=list(_excerpt(page.excerpt, question.text)),
        image=_image(page, question),
        words=None if page.heat is None else list(_matching_words(page.heat)),
    )


def _image(page: ReportPage, question: ReportQuestion) -> _ShownImage | None:
    if page.picture is None:
        return None
    heat = page.heat
    tokens = () if heat is None else (None, *(word.text for word in question.words))
    return _ShownImage(
        uri=page_uri(page.picture),
        width=page.picture.width,
        height=page.picture.height,
        is_dark=heat is not None and heat.on_dark,
        heat_uris=[] if heat is None else [heat_uri(heat, token) for token in tokens],
    )


def _matching_words(heat: HeatMap) -> Iterator[_ShownWord]:
    """The words that match best, strongest first."""
    peaks = sorted(((heat.peak(word), word.text) for word in heat.words), reverse=True)
    strongest = peaks[0][0] or 1.0
    for peak, text in peaks[:_WORDS_LISTED]:
        if peak >= _FAINT * strongest:
            yield _ShownWord(one_line(text), peak, peak / strongest)


def _excerpt(excerpt: str, question: str) -> Iterator[_ShownText]:
    """The excerpt in pieces; those that begin with a word of the question are marked."""
    excerpt = one_line(excerpt)
    words = sorted(set(re.findall(r"\w{4,}", question)), key=len, reverse=True)
    pattern = "|".join(rf"\b{re.escape(word)}\w*" for word in words)
    at = 0
    for match in re.finditer(pattern, excerpt, re.IGNORECASE) if pattern else ():
        yield _ShownText(excerpt[at : match.start()], is_marked=False)
        yield _ShownText(match[0], is_marked=True)
        at = match.end()
    if at < len(excerpt):
        yield _ShownText(excerpt[at:], is_marked=False)


def _asset(name: str) -> str:
    return (files("vdr_integrations.cli.report") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
