"""One page of an open PDF: its size, label, text and image."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from vdr_integrations.errors import OptionError, PageGeometryError, PageRenderError
from vdr_integrations.pages.pdf.mupdf import smooth_lines
from vdr_integrations.pages.pdf.page_box import box_problem
from vdr_integrations.types import PageImage
from vdr_integrations.types.computed_once import computed_once

if TYPE_CHECKING:
    from vdr_integrations.pages.pdf.pdf_file import PdfFile
    from vdr_integrations.types import PixelBudget

__all__ = ["PdfPage"]

_logger = logging.getLogger(__name__)

_OVERSAMPLINGS = range(1, 5)


@dataclass(frozen=True, slots=True)
class _Geometry:
    width_pt: float
    height_pt: float
    rotation: int


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
        try:
            with self._file.load(self._page_number, doing="read the label of") as loaded:
                return loaded.page.get_label() or str(self._page_number)
        except PageRenderError:
            _logger.warning("%s: its page label is damaged; the page number is used", self)
            return str(self._page_number)

    @property
    def text(self) -> str:
        """The text layer, in the order of the file; empty for scans.

        NUL characters are removed and unpaired surrogates replaced, so that the text can be stored
        as UTF-8. It is cut to ``RenderLimits.max_text_characters``.
        """
        with self._file.load(self._page_number, doing="read the text of") as loaded:
            text = str(loaded.page.get_text("text"))
        text = text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
        limit = self._file.limits.max_text_characters
        if len(text) > limit:
            _logger.warning("%s: text layer of %d characters cut at %d", self, len(text), limit)
        return text[:limit]

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which the page is turned when it is shown: 0, 90, 180 or 270."""
        return self._geometry.rotation

    @property
    def width_pt(self) -> float:
        """Points, as shown: cropped and turned.

        Raises:
            PageGeometryError: The page box is empty or absurd.
        """
        return self._geometry.width_pt

    @property
    def height_pt(self) -> float:
        """Points, as shown: cropped and turned.

        Raises:
            PageGeometryError: The page box is empty or absurd.
        """
        return self._geometry.height_pt

    def rendered_size(self, budget: PixelBudget) -> tuple[int, int]:
        """``(height, width)`` in pixels of the image from :meth:`render`; nothing is drawn.

        Raises:
            PageGeometryError: The page box is empty, absurd, or too elongated.
        """
        geometry = self._geometry
        try:
            return budget.fill(
                height=geometry.height_pt, width=geometry.width_pt, source=self.source
            )
        except PageGeometryError as problem:
            raise self._geometry_error(problem.reason) from None

    def render(self, budget: PixelBudget, *, oversampling: int = 1) -> Image.Image:
        """Draw the page at the size that fills ``budget``, as RGB on white, without resizing.

        Annotations and form fields are drawn; CropBox and rotation are applied.

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
        with self._file.keeping_pages():
            height, width = (oversampling * side for side in self.rendered_size(budget))
            drawn = self._drawn(height, width)
        return drawn if oversampling == 1 else drawn.reduce(oversampling)

    def to_image(self, budget: PixelBudget, *, oversampling: int = 1) -> PageImage:
        """Draw the page as an image that does not need the document; errors as :meth:`render`."""
        return PageImage(self.render(budget, oversampling=oversampling), source=str(self))

    def __str__(self) -> str:
        """``report.pdf page 3``."""
        return f"{self.source} page {self._page_number}"

    def __repr__(self) -> str:
        """Name and number, never content."""
        return f"PdfPage({self.source!r}, page_number={self._page_number})"

    def _drawn(self, height: int, width: int) -> Image.Image:
        with (
            self._file.load(self._page_number, doing="render") as loaded,
            smooth_lines(loaded.engine),
        ):
            shown = loaded.page.rect
            pixmap = loaded.page.get_pixmap(
                matrix=loaded.engine.Matrix(width / shown.width, height / shown.height),
                colorspace=loaded.engine.csRGB,
                alpha=False,
                annots=True,
            )
            size, samples = (pixmap.width, pixmap.height), pixmap.samples
        if size != (width, height):
            raise PageRenderError(
                f"MuPDF drew {size[0]} x {size[1]} pixels instead of {width} x {height}.",
                source=self.source,
                page_number=self._page_number,
            )
        return Image.frombytes("RGB", size, samples)

    @computed_once
    def _geometry(self) -> _Geometry:
        with self._file.load(self._page_number, doing="measure") as loaded:
            problem = box_problem(
                loaded.document, loaded.page.xref, max_side_pt=self._file.limits.max_side_pt
            )
            shown, rotation = loaded.page.rect, loaded.page.rotation
        if problem is not None:
            raise self._geometry_error(problem)
        return _Geometry(shown.width, shown.height, rotation)

    def _geometry_error(self, reason: str) -> PageGeometryError:
        return PageGeometryError(reason, source=self.source, page_number=self._page_number)
