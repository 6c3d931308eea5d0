"""A search report as one HTML text: no request goes out, and nothing in it but its own script runs.

Everything that comes from documents, file names and questions is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from vdr_integrations.cli.report.picture_uris import heat_uri, page_uri
from vdr_integrations.cli.terminal.exits import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from PIL import Image

    from vdr_integrations.retrieval import HeatMap, QueryWord
    from vdr_integrations.types import Hit

__all__ = ["FoundPage", "Question", "report_html"]

_WORDS_LISTED = 6
_FAINT = 0.3
"""Words below this share of the strongest are left out of the list; the switch has them all."""
_SCALE = '<p class="scale" aria-hidden="true"><span>matches less</span><i></i><span>more</span></p>'


class FoundPage(NamedTuple):
    """A hit with what is shown of it.

    Attributes:
        hit: The page.
        place: Its document's path, as it is shown.
        excerpt: Of its text layer, empty for scans.
        picture: RGB; None where it is not to be had.
        heat: None where the index says nothing of places.
        is_maxsim: Whether its score is of late interaction, not a cosine.
    """

    hit: Hit
    place: str
    excerpt: str
    picture: Image.Image | None
    heat: HeatMap | None
    is_maxsim: bool


class Question(NamedTuple):
    """A question and its pages, best first."""

    text: str
    pages: tuple[FoundPage, ...]

    @property
    def words(self) -> tuple[QueryWord, ...]:
        """Those that heat maps can be switched to; none without heat maps."""
        return next((page.heat.words for page in self.pages if page.heat is not None), ())


def report_html(
    questions: Sequence[Question], *, index_name: str, model: str, when: datetime
) -> str:
    """The whole file.

    Args:
        questions: In the order they were asked.
        index_name: What the index is called.
        model: That made its vectors.
        when: Shown in the head.
    """
    style, script = (_asset(name) for name in ("style.css", "script.js"))
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    pages = sum(len(question.pages) for question in questions)
    title = questions[0].text if len(questions) == 1 else f"{len(questions)} questions"
    day = when.strftime("%d %B %Y, %H:%M").lstrip("0")
    contents = _contents(questions) if len(questions) > 1 else ""
    sections = "".join(_section(number, one) for number, one in enumerate(questions, start=1))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="vdr-integrations">
<title>{_shown(title)} · visual search</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#found">Skip to what was found</a>
<header class="top">
<h1 class="brand">Visual search report</h1>
<dl class="facts">
<div><dt>Index</dt><dd>{_shown(index_name)}</dd></div>
<div><dt>Model</dt><dd>{_shown(model)}</dd></div>
<div><dt>Pages shown</dt><dd>{pages}</dd></div>
<div><dt>Made</dt><dd><time datetime="{when.isoformat(timespec="seconds")}">{day}</time></dd></div>
</dl>
</header>
<main id="found" tabindex="-1">
{contents}{sections}</main>
<footer>
<p>Scores say how pages rank for one question; they do not compare between questions.</p>
</footer>
<script>{script}</script>
</body>
</html>
"""


def _contents(questions: Sequence[Question]) -> str:
    links = "".join(
        f'<li><a href="#q{number}">{_shown(question.text)}</a></li>\n'
        for number, question in enumerate(questions, start=1)
    )
    return f'<nav class="contents" aria-label="Questions">\n<ol>\n{links}</ol>\n</nav>\n'


def _section(number: int, question: Question) -> str:
    count = len(question.pages)
    said = f"{count} page{'s' if count > 1 else ''}, best first" if count else "No page was found."
    scale = _SCALE if question.words else ""
    best = max((page.hit.score for page in question.pages), default=0.0)
    pages = "".join(
        _page(f"q{number}p{rank}", rank, page, question, best=best)
        for rank, page in enumerate(question.pages, start=1)
    )
    return f"""<section class="question" id="q{number}" aria-labelledby="q{number}t">
<h2 class="asked" id="q{number}t">{_shown(question.text)}</h2>
<div class="count"><p>{said}</p>{scale}</div>
{_switch(question)}<ol class="pages">
{pages}</ol>
</section>
"""


def _switch(question: Question) -> str:
    if not question.words:
        return ""
    labels = ["All words", *(word.text for word in question.words), "No colours"]
    keys = ["all", *map(str, range(len(question.words))), "none"]
    buttons = "".join(
        f'<button type="button" data-heat="{key}" aria-pressed="{str(key == "all").lower()}">'
        f"{_shown(label)}</button>\n"
        for key, label in zip(keys, labels, strict=True)
    )
    return (
        f'<div class="switch" role="group" aria-label="Show where it matches">\n{buttons}</div>\n'
    )


def _page(name: str, rank: int, page: FoundPage, question: Question, *, best: float) -> str:
    hit = page.hit
    document = one_line(PurePath(hit.source).name or hit.source)
    labelled = one_line(hit.page_label)
    label = "" if labelled == str(hit.page_number) else f" (printed {escape(labelled)})"
    kind = "MaxSim" if page.is_maxsim else "Cosine"
    digits = 2 if page.is_maxsim else 3
    share = max(0.0, min(1.0, hit.score / best)) if best > 0 else 0.0
    subject = f"{document}, page {hit.page_number}"
    place = f"page {hit.page_number} of {hit.total_pages}{label}"
    return f"""<li><article aria-labelledby="{name}">
{_figure(page, subject, question)}
<div class="about">
<p class="rank"><span class="hidden">Rank </span>{rank}</p>
<h3 id="{name}"><span class="file">{escape(document)}</span> <span class="where">{place}</span></h3>
<p class="score"><span>{kind} score</span> <strong>{hit.score:.{digits}f}</strong>
{_bar(share, f"{share:.0%} of the best page's score")}</p>
{_said(page.excerpt, question.text)}{_matches(page)}<p class="path"><span class="hidden">File:
</span>{_shown(page.place)}</p>
</div>
</article></li>
"""


def _figure(page: FoundPage, subject: str, question: Question) -> str:
    if page.picture is None:
        return '<p class="missing">The picture of this page is not to be had any more.</p>'
    layers = "".join(_layers(page.heat, question)) if page.heat is not None else ""
    dark = " on-dark" if page.heat is not None and page.heat.on_dark else ""
    alt, (width, height) = escape(subject), page.picture.size
    return (
        f'<figure><button type="button" class="zoom{dark}" aria-label="Enlarge {alt}">\n'
        f'<img class="page" alt="{alt}" width="{width}" height="{height}" '
        f'src="{page_uri(page.picture)}">\n{layers}</button></figure>'
    )


def _layers(heat: HeatMap, question: Question) -> Iterator[str]:
    yield f'<img class="heat" data-heat="all" alt="" src="{heat_uri(heat, None)}">\n'
    for key, word in enumerate(question.words):
        uri = heat_uri(heat, word.text)
        yield f'<img class="heat" data-heat="{key}" alt="" hidden src="{uri}">\n'


def _matches(page: FoundPage) -> str:
    """The words that match best, and how strongly they do where they do best."""
    if page.heat is None:
        return ""
    peaks = sorted(((page.heat.peak(word), word.text) for word in page.heat.words), reverse=True)
    strongest = peaks[0][0] or 1.0
    rows = "".join(
        f"<li><span>{_shown(text)}</span>{_bar(peak / strongest, f'relevance {peak:.2f}')}</li>\n"
        for peak, text in peaks[:_WORDS_LISTED]
        if peak >= _FAINT * strongest
    )
    if not rows:
        return "<p>No word stands out on this page.</p>\n"
    return f'<h4>Words that stand out on this page</h4>\n<ul class="words">\n{rows}</ul>\n'


def _bar(share: float, meaning: str) -> str:
    # No style attribute passes the policy; numbers of a picture do.
    return (
        f'<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(meaning)}"><rect width="100" height="4"/>'
        f'<rect class="full" width="{100 * share:.1f}" height="4"/></svg>'
    )


def _said(excerpt: str, question: str) -> str:
    excerpt = one_line(excerpt)
    if not excerpt:
        return '<p class="excerpt none">No text layer: this page was found by its looks.</p>\n'
    words = sorted(set(re.findall(r"\w{4,}", question)), key=len, reverse=True)
    pattern = "|".join(rf"\b{re.escape(word)}\w*" for word in words)
    parts: list[str] = []
    at = 0
    for match in re.finditer(pattern, excerpt, re.IGNORECASE) if pattern else ():
        parts += [escape(excerpt[at : match.start()]), f"<mark>{escape(match[0])}</mark>"]
        at = match.end()
    parts.append(escape(excerpt[at:]))
    return f'<blockquote class="excerpt"><p>{"".join(parts)}</p></blockquote>\n'


def _shown(text: str) -> str:
    return escape(one_line(text))


def _asset(name: str) -> str:
    return (files("vdr_integrations.cli.report") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
