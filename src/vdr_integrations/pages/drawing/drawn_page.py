"""A drawn page of a PDF, and the functions with which a process draws it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from vdr_integrations.errors import DocumentOpenError, PageRenderError
from vdr_integrations.pages.drawing.time_limit import ends_this_process
from vdr_integrations.pages.pdf.mupdf import mupdf
from vdr_integrations.pages.pdf.pdf_document import PdfDocument, open_pdf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vdr_integrations.pages.file_limits import RenderLimits
    from vdr_integrations.pages.pdf.pdf_page import PdfPage
    from vdr_integrations.types import PageImage, PixelBudget

__all__ = ["DrawnPage", "PageAddress", "be_ready", "draw_elsewhere", "draw_in_time", "drawn_page"]


@dataclass(frozen=True, slots=True)
class DrawnPage:
    """The parts of a page that an index stores.

    Attributes:
        image: The page, drawn at the size that fills the pixel budget.
        page_label: The document's label of the page.
        text: The text layer.
        warnings: What is missing or wrong in the image although it could be drawn, one sentence
            each.
    """

    image: PageImage
    page_label: str
    text: str
    warnings: tuple[str, ...] = ()


class PageAddress(NamedTuple):
    """All that another process needs to find a page."""

    path: Path
    sha256: str
    source: str
    limits: RenderLimits
    page_number: int


def drawn_page(page: PdfPage, budget: PixelBudget) -> DrawnPage:
    """Draw a page in this process, and read its label and text; it is loaded once.

    Raises:
        PageError: MuPDF cannot read the page, or the page box is absurd.
    """
    with page.file.keeping_pages():
        return DrawnPage(page.to_image(budget), page.page_label, page.text)


def be_ready() -> None:
    """Load what is needed to draw. If this ends a process, no page is the cause."""
    with mupdf(PageRenderError, source="a page", doing="draw"):
        pass


def draw_elsewhere(address: PageAddress, budget: PixelBudget) -> DrawnPage:
    """Draw a page in the process that calls this.

    Raises:
        PageError: As in :func:`drawn_page`, or the file has changed.
    """
    document = _document(address.path, address.sha256, address.source, address.limits)
    return drawn_page(document[address.page_number - 1], budget)


def draw_in_time(
    draw: Callable[[PageAddress, PixelBudget], DrawnPage],
    limit_s: float,
    address: PageAddress,
    budget: PixelBudget,
) -> DrawnPage:
    """Call ``draw``; if that takes longer than ``limit_s`` seconds, this process ends."""
    be_ready()
    with ends_this_process(after_s=limit_s):
        return draw(address, budget)


@lru_cache(maxsize=1)  # pages come document by document; a document is kept in memory
def _document(path: Path, sha256: str, source: str, limits: RenderLimits) -> PdfDocument:
    document = open_pdf(path, name=source, limits=limits)
    if document.sha256 != sha256:
        raise DocumentOpenError("it changed while it was read; read it again.", source=source)
    return document
