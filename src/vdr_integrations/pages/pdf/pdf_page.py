"""One page of an open PDF: its size, label, text and image."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from vdr_integrations.errors import OptionError, PageGeometryError
from vdr_integrations.pages.drawing.drawn_page import DrawnPage
from vdr_integrations.pages.pdf.page_content import Drawing, PageContent, Size, WholePage
from vdr_integrations.pages.processes.process_pool import Lane, default_lane, result_of
from vdr_integrations.types import PageImage
from vdr_integrations.types.computed_once import computed_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from vdr_integrations.pages.pdf.page_text import PageText
    from vdr_integrations.pages.pdf.pdf_file import PdfFile
    from vdr_integrations.types import PixelBudget

__all__ = ["PdfPage"]

Result = TypeVar("Result")

_logger = logging.getLogger(__name__)

_OVERSAMPLINGS = range(1, 5)


class PdfPage:
    """A page of a PDF. Everything except its number is read only when you ask for it.

    It keeps its document open in memory, and stops working when the document is closed.

    Sizes, rotation, text and image raise PageRenderError if MuPDF cannot read the page. These and
    the label raise DocumentOpenError if the document is closed.
    """

    def __init__(self, file: PdfFile, page_number: int) -> None:
        self._file = file
        self._page_number = page_number

    @property
    def source(self) -> str:
        """Name of the document."""
        return self._file.source

    @property
    def file(self) -> PdfFile:
        """The open document that the page belongs to."""
        return self._file

    @property
    def page_number(self) -> int:
        """Number of the page, 1-based."""
        return self._page_number

    @property
    def total_pages(self) -> int:
        """Number of pages of the document."""
        return self._file.page_count

    @computed_once
    def page_label(self) -> str:
        """The document's label of the page ("iv"), or the page number if it has no label."""
        return self._label(self._do(lambda content: content.label(self._page_number)))

    @property
    def text(self) -> str:
        """The text layer, in the order of the file; empty for scans.

        NUL characters are removed and unpaired surrogates replaced, so that the text can be stored
        as UTF-8. It is cut to ``RenderLimits.max_text_characters``.
        """
        return self._text(self._do(lambda content: content.text(self._page_number)))

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which the page is turned when it is shown: 0, 90, 180 or 270."""
        return self._size.rotation

    @property
    def width_pt(self) -> float:
        """Points, as shown: cropped and turned.

        Raises:
            PageGeometryError: The page box is empty or absurd.
        """
        return self._size.width_pt

    @property
    def height_pt(self) -> float:
        """Points, as shown: cropped and turned.

        Raises:
            PageGeometryError: The page box is empty or absurd.
        """
        return self._size.height_pt

    @property
    def size_pt(self) -> tuple[float, float]:
        """Width and height in points, as shown; errors as :attr:`width_pt`."""
        return self._size.width_pt, self._size.height_pt

    def rendered_size(self, budget: PixelBudget) -> tuple[int, int]:
        """``(height, width)`` in pixels of the image from :meth:`render`; nothing is drawn.

        Raises:
            PageGeometryError: The page box is empty, absurd, or too elongated.
        """
        return self._fit(self._size, budget)

    def render(self, budget: PixelBudget, *, oversampling: int = 1) -> Image.Image:
        """Draw the page at the size that fills ``budget``, as RGB on white, without resizing.

        Annotations and form fields are drawn; CropBox and rotation are applied. What is missing on
        the page because the file is damaged is logged as a warning.

        Args:
            budget: Number of pixels; see ``PixelBudget.fill``.
            oversampling: 1 to 4. With n, the page is drawn n times as wide and as high, and each
                pixel is the mean of n x n drawn pixels. 2 takes twice as long, and the result is a
                little nearer to the 200 dpi of the model card (docs/performance.md); indexes are
                made with 1.

        Raises:
            PageGeometryError: The page box is empty, absurd, or too elongated.
            PageRenderError: MuPDF cannot draw the page.
            OptionError: ``oversampling`` has another value.
        """
        if oversampling not in _OVERSAMPLINGS:
            raise OptionError(f"oversampling={oversampling}; it must be 1, 2, 3 or 4.")

        def work(content: PageContent) -> Drawing:
            return self._draw(content, budget, oversampling)

        return self._warned(self._do(work)).image

    def to_image(self, budget: PixelBudget, *, oversampling: int = 1) -> PageImage:
        """Draw the page as an image that does not need the document; errors as :meth:`render`."""
        return PageImage(self.render(budget, oversampling=oversampling), source=str(self))

    def begin(self, budget: PixelBudget, *, lane: Lane | None = None) -> Callable[[], DrawnPage]:
        """Begin to draw the page and to read its label and text; it is loaded once.

        Args:
            budget: Size of the image.
            lane: Whose work it is, where other processes do it.

        Returns:
            A function that waits for the drawn page. It raises PageError for a bad page, and
            ResourceError if this machine is short of something. What is missing on the page is in
            ``warnings``, and not in the log.
        """

        def work(content: PageContent) -> WholePage:
            return content.whole(self._page_number, lambda size: self._fit(size, budget))

        lane = default_lane() if lane is None else lane
        future = self._file.begin(work, page_number=self._page_number, lane=lane)

        def wait() -> DrawnPage:
            drawn, label, text = result_of(future, lane)
            return DrawnPage(
                PageImage(drawn.image, source=str(self)),
                page_label=self._label(label),
                text=self._text(text),
                warnings=drawn.warnings,
            )

        return wait

    def __str__(self) -> str:
        """``report.pdf page 3``."""
        return f"{self.source} page {self._page_number}"

    def __repr__(self) -> str:
        """Name and number, never content."""
        return f"PdfPage({self.source!r}, page_number={self._page_number})"

    def _do(self, work: Callable[[PageContent], Result]) -> Result:
        lane = default_lane()
        return result_of(self._file.begin(work, page_number=self._page_number, lane=lane), lane)

    def _draw(self, content: PageContent, budget: PixelBudget, oversampling: int) -> Drawing:
        def larger(size: Size) -> tuple[int, int]:
            height, width = self._fit(size, budget)
            return oversampling * height, oversampling * width

        drawn = content.draw(self._page_number, larger)
        if oversampling == 1:
            return drawn
        return Drawing(drawn.image.reduce(oversampling), drawn.warnings)

    def _fit(self, size: Size, budget: PixelBudget) -> tuple[int, int]:
        try:
            return budget.fill(height=size.height_pt, width=size.width_pt, source=self.source)
        except PageGeometryError as problem:
            raise PageGeometryError(
                problem.reason, source=self.source, page_number=self._page_number
            ) from None

    def _label(self, label: str | None) -> str:
        if label is None:
            _logger.warning("%s: its page label is damaged; the page number is used", self)
        return label or str(self._page_number)

    def _text(self, read: PageText) -> str:
        if read.is_cut:
            _logger.warning("%s: text layer cut at %d characters", self, len(read.text))
        return read.text

    def _warned(self, drawn: Drawing) -> Drawing:
        for warning in drawn.warnings:
            _logger.warning("%s: %s", self, warning)
        return drawn

    @computed_once
    def _size(self) -> Size:
        return self._do(lambda content: content.size(self._page_number))
