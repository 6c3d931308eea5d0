"""``vdr search --report``: what was found, as a page that can be passed on."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.agents.excerpt import excerpt
from vdr_integrations.cli.report.html_rendering import ReportPage, ReportQuestion, report_html
from vdr_integrations.cli.terminal.exits import say_error
from vdr_integrations.errors import MissingExtraError, OptionError, PageError
from vdr_integrations.index import LateInteractionIndex
from vdr_integrations.index.page_pictures import page_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from vdr_integrations.cli.options.indexes import Index
    from vdr_integrations.cli.options.model_settings import ModelSettings
    from vdr_integrations.encoders import MultiVectorEncoder
    from vdr_integrations.index import HeatMap
    from vdr_integrations.types import Hit, PageImage, PixelBudget

__all__ = ["reporting"]

_EXCERPT_CHARACTERS = 320


@contextmanager
def reporting(
    path: Path | None, index: Index, settings: ModelSettings, *, password: str | None = None
) -> Generator[Callable[[str, Sequence[Hit]], None]]:
    """Collect questions with their hits, and write the report when all are asked.

    A page whose picture is not to be had is listed without one.

    Args:
        path: The HTML file, in place of what is there; None for no report.
        index: Open; one of late interaction gives heat maps.
        settings: Of its encoder.
        password: Of encrypted PDFs.

    Raises:
        OptionError: The folder of the file is not there.
    """
    if path is None:
        yield lambda _question, _hits: None
        return
    if not path.parent.is_dir():
        raise OptionError(f"--report {path}: there is no folder {path.parent}; make it first.")
    encoder = None
    if isinstance(index, LateInteractionIndex):
        encoder, _, _ = settings.load_late(index.manifest)
    budget = index.manifest.pixel_budget if encoder is None else encoder.pixel_budget
    asked: list[ReportQuestion] = []

    def keep(question: str, hits: Sequence[Hit]) -> None:
        pages = tuple(_found(question, hit, encoder, budget, password) for hit in hits)
        asked.append(ReportQuestion(question, pages))

    yield keep
    when = datetime.now().astimezone()
    name = Path(index.path).name if isinstance(index.path, Path) else str(index.path)
    path.write_text(
        report_html(asked, index_name=name, model=index.manifest.model, when=when),
        encoding="utf-8",
    )


def _found(
    question: str,
    hit: Hit,
    encoder: MultiVectorEncoder | None,
    budget: PixelBudget,
    password: str | None,
) -> ReportPage:
    picture: PageImage | None = None
    heat: HeatMap | None = None
    try:
        picture = page_picture(hit, budget=budget, password=password)
        if encoder is not None:
            tokens = encoder.query_tokens(question)
            heat = hit.heatmap(query_tokens=tokens, page=picture, encoder=encoder)
    except (PageError, MissingExtraError, OSError) as error:
        say_error(str(error))
    said = excerpt(hit.text, question, max_characters=_EXCERPT_CHARACTERS)
    source, here = Path(hit.source), Path.cwd()
    place = str(source.relative_to(here)) if source.is_relative_to(here) else hit.source
    image = None if picture is None else picture.image
    return ReportPage(hit, place, said, image, heat, is_maxsim=encoder is not None)
