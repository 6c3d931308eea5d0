"""The pages of many files, of which some may be bad."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import PageError
from vdr_integrations.pages.file_limits import (
    DEFAULT_IMAGE_LIMITS,
    DEFAULT_RENDER_LIMITS,
    ImageLimits,
    RenderLimits,
)
from vdr_integrations.pages.find_files import IMAGE_SUFFIXES, find_documents
from vdr_integrations.pages.images.any_image import open_image
from vdr_integrations.pages.pdf.pdf_document import open_pdf
from vdr_integrations.types import PageImage, PixelBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from vdr_integrations.pages.pdf.pdf_page import PdfPage

__all__ = ["read_pages"]


def read_pages(
    paths: str | Path | Iterable[str | Path],
    *,
    password: str | None = None,
    on_error: Callable[[PageError], object] | None = None,
    render_limits: RenderLimits = DEFAULT_RENDER_LIMITS,
    image_limits: ImageLimits = DEFAULT_IMAGE_LIMITS,
) -> Iterator[PdfPage | PageImage]:
    """The pages of files, folders and patterns, one file open at a time.

    PDF pages are drawn when they are asked to, so a page that MuPDF fails to draw raises its
    PageRenderError there and then; what can be known without drawing is reported here.

    Args:
        paths: As ``find_documents`` takes them. Image files go by suffix; all others are PDFs.
        password: Tried on every encrypted PDF.
        on_error: Called with the error of each file or page that is left out. None raises the
            first, which ends the iteration.
        render_limits: For PDFs.
        image_limits: For images.

    Yields:
        Pages in the order of ``find_documents`` and of their documents. A PDF stays in memory as
        long as a page of it is in use.

    Raises:
        PageError: Without ``on_error``, whatever is wrong with a file or page.
    """
    report = on_error or _raise
    for path in find_documents(paths, on_error=on_error):
        try:
            if path.suffix.lower() in IMAGE_SUFFIXES:
                pages = [open_image(path, limits=image_limits)]
            else:
                pages = open_pdf(path, password=password, limits=render_limits)
        except PageError as problem:
            report(problem)
        else:
            yield from _renderable(pages, report)
            del pages  # or this document would stay in memory while the next one opens


def _renderable(
    pages: Sequence[PdfPage | PageImage], report: Callable[[PageError], object]
) -> Iterator[PdfPage | PageImage]:
    for page in pages:
        try:
            _check_shape(page)
        except PageError as problem:
            report(problem)
        else:
            yield page


def _check_shape(page: PdfPage | PageImage) -> None:
    budget = PixelBudget()  # which shapes are refused is the same for every budget
    if isinstance(page, PageImage):
        budget.fit(height=page.height, width=page.width, source=page.source)
    else:
        page.rendered_size(budget)


def _raise(problem: PageError) -> None:
    raise problem
