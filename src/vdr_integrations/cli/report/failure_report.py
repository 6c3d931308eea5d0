"""``vdr eval --html``: the questions whose right page was not found first, as one HTML page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from vdr_integrations.cli.report.html_assets import asset, policy_hash, rendered
from vdr_integrations.cli.report.picture_uris import heat_uri, page_uri
from vdr_integrations.cli.terminal.clean_text import one_line
from vdr_integrations.cli.terminal.exits import say_error
from vdr_integrations.cli.terminal.output_files import write_output
from vdr_integrations.errors import MissingExtraError, PageError
from vdr_integrations.index.document_name import file_name_of
from vdr_integrations.index.stored_page import page_id
from vdr_integrations.look.shared_style import shared_style

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vdr_integrations.evaluation import Evaluation, RankedQuestion, SearchSystem
    from vdr_integrations.index import StoredPage

__all__ = ["write_failures"]

_LEAST_RANK = 1.0
_NEVER = float("inf")


class _Picture(NamedTuple):
    """A page image, and the heat map over it if there is one."""

    uri: str
    width: int
    height: int
    heat_uri: str | None
    is_dark: bool


class _Page(NamedTuple):
    """A page beside a question. Texts are on one line, and not escaped yet."""

    role: str
    document: str
    page_number: int
    total_pages: int
    score: str
    picture: _Picture | None


class _Failure(NamedTuple):
    """A question whose right page is not first."""

    question: str
    ranks: list[tuple[str, str, str]]
    other_pages: list[str]
    pages: list[_Page]


class _Section(NamedTuple):
    """The failures of a system."""

    name: str
    is_late: bool
    failed: int
    asked: int
    failures: list[_Failure]


def write_failures(
    path: Path, found: Evaluation, systems: Sequence[SearchSystem], *, limit: int
) -> None:
    """Write the page.

    A question failed if its first right page does not rank first among all pages, or shares the
    first rank. The worst come first.

    Args:
        path: The HTML file; an existing file is replaced.
        found: The results.
        systems: The systems of the results whose failures are shown.
        limit: Most questions of a system.

    Raises:
        OptionError: The file cannot be written.
    """
    style = shared_style() + asset("failures.css")
    when = datetime.now().astimezone()
    html = rendered(
        "failures.html.j2",
        sections=[_Shown(found, system).section(limit) for system in systems],
        asked=len(found.questions),
        page_count=found.page_count,
        made_iso=when.isoformat(timespec="seconds"),
        made=when.strftime("%d %B %Y, %H:%M").lstrip("0"),
        style=Markup(style),  # noqa: S704  # our own files
        style_hash=policy_hash(style),
    )
    write_output(html.encode(), path)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the page shows of a system."""

    found: Evaluation
    system: SearchSystem

    def section(self, limit: int) -> _Section:
        results = self.found.found[self.system.name]["all"]
        ranks = [_NEVER if one.rank is None else one.rank for one in results]
        failed = sorted(
            (at for at, rank in enumerate(ranks) if rank > _LEAST_RANK), key=lambda at: -ranks[at]
        )
        return _Section(
            name=one_line(self.system.name),
            is_late=self.system.searcher.index.late is not None,
            failed=len(failed),
            asked=len(results),
            failures=[self._failure(at, results[at]) for at in failed[:limit]],
        )

    def _failure(self, at: int, result: RankedQuestion) -> _Failure:
        asked = self.found.questions[at]
        right = result.best or (next(iter(asked.relevant)), None)
        pages = [self._page("Right page", asked.question.text, *right)]
        if result.top is not None:
            pages.append(self._page("Found first", asked.question.text, *result.top))
        others = [key for key in asked.relevant if key != right[0]]
        return _Failure(
            question=one_line(asked.question.text),
            ranks=[
                (one_line(name), _rank(places["within"][at]), _rank(places["all"][at]))
                for name, places in self.found.found.items()
            ],
            other_pages=[f"{_name(source)}, page {number}" for source, number in others],
            pages=pages,
        )

    def _page(self, role: str, question: str, key: tuple[str, int], score: float | None) -> _Page:
        source, number = key
        (page,) = self.system.searcher.index.get([page_id(source, number)])
        return _Page(
            role=role,
            document=_name(source),
            page_number=number,
            total_pages=page.total_pages,
            score="not ranked" if score is None else f"{score:.3f}",
            picture=self._picture(question, page),
        )

    def _picture(self, question: str, page: StoredPage) -> _Picture | None:
        searcher = self.system.searcher
        try:
            image = searcher.pictures.indexed(page)
            heat = None
            if searcher.index.late is not None:
                heat = searcher.heatmap(question, page, image=image)
        except (PageError, MissingExtraError, OSError) as error:
            say_error(str(error))
            return None
        shown = image.image
        return _Picture(
            uri=page_uri(shown),
            width=shown.width,
            height=shown.height,
            heat_uri=None if heat is None else heat_uri(heat, None),
            is_dark=heat is not None and heat.on_dark,
        )


def _name(source: str) -> str:
    return one_line(file_name_of(source))


def _rank(result: RankedQuestion) -> str:
    return "not found" if result.rank is None else f"{result.rank:.1f}".removesuffix(".0")
