"""``vdr search --report``: the hits as one HTML page that can be shared."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.agents.excerpt import excerpt
from vdr_integrations.cli.report.html_rendering import ReportPage, ReportQuestion, report_html
from vdr_integrations.cli.terminal.exits import say_error
from vdr_integrations.cli.terminal.output_files import check_output, write_output
from vdr_integrations.errors import MissingExtraError, PageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from vdr_integrations.retrieval import HeatMap, PageSearcher
    from vdr_integrations.types import Hit, PageImage

__all__ = ["reporting"]

_EXCERPT_CHARACTERS = 320


@contextmanager
def reporting(
    path: Path, searcher: PageSearcher
) -> Generator[Callable[[str, Sequence[Hit]], None]]:
    """Collect questions with their hits, and write the report at the end of the block.

    A page whose image is not available is listed without one.

    Args:
        path: The HTML file; an existing file is replaced.
        searcher: The searcher of the hits; with an index of late interaction there are heat maps.

    Raises:
        OptionError: The folder of the file does not exist.
    """
    check_output(path, option="--report", suffix=".html")
    asked: list[ReportQuestion] = []

    def keep(question: str, hits: Sequence[Hit]) -> None:
        pages = tuple(_found(question, hit, searcher) for hit in hits)
        asked.append(ReportQuestion(question, pages))

    yield keep
    index = searcher.index
    when = datetime.now().astimezone()
    names = [one.name if isinstance(one, Path) else one for one in index.places]
    html = report_html(
        asked,
        is_late=index.late is not None,
        index_name=", ".join(names),
        model=index.manifest.model,
        when=when,
    )
    write_output(html.encode(), path)


def _found(question: str, hit: Hit, searcher: PageSearcher) -> ReportPage:
    picture: PageImage | None = None
    heat: HeatMap | None = None
    try:
        picture = searcher.pictures.indexed(hit)
        if searcher.index.late is not None:
            heat = searcher.heatmap(question, hit, image=picture)
    except (PageError, MissingExtraError, OSError) as error:
        say_error(str(error))
    said = excerpt(hit.text, question, max_characters=_EXCERPT_CHARACTERS)
    source, here = Path(hit.source), Path.cwd()
    place = str(source.relative_to(here)) if source.is_relative_to(here) else hit.source
    image = None if picture is None else picture.image
    return ReportPage(hit, place, said, image, heat)
