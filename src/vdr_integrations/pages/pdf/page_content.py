"""What a page of an open PDF can be asked for, wherever MuPDF runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from vdr_integrations.pages.pdf.page_text import PageText

__all__ = ["Drawing", "Fit", "OutlineEntry", "PageContent", "Pixels", "Size", "WholePage"]


class Size(NamedTuple):
    """A page as it is shown: cropped and turned.

    Attributes:
        width_pt: Points.
        height_pt: Points.
        rotation: Degrees clockwise by which it is turned: 0, 90, 180 or 270.
    """

    width_pt: float
    height_pt: float
    rotation: int


@dataclass(frozen=True, slots=True)
class Pixels:
    """A drawn page as MuPDF leaves it, RGB.

    Attributes:
        width: Pixels.
        height: Pixels.
        samples: ``3 * width * height`` bytes, row by row. Valid as long as this object.
        warnings: What is missing on it, for people to read.
        keeps: The owner of ``samples``.
    """

    width: int
    height: int
    samples: bytes | memoryview
    warnings: tuple[str, ...] = ()
    keeps: object = field(default=None, repr=False)


class Drawing(NamedTuple):
    """A drawn page.

    Attributes:
        image: An RGB image.
        warnings: What is missing on it, for people to read.
    """

    image: Image.Image
    warnings: tuple[str, ...]


class WholePage(NamedTuple):
    """All parts of a page.

    Attributes:
        drawing: The drawn page.
        label: Its label, "" without one; None if the labels are damaged.
        text: Its text layer.
    """

    drawing: Drawing
    label: str | None
    text: PageText


Fit: TypeAlias = "Callable[[Size], tuple[int, int]]"
"""Height and width in pixels at which a page of a size is drawn; the same for the same size."""


class OutlineEntry(NamedTuple):
    """A line of a document's outline.

    Attributes:
        title: On one line; may be empty.
        page_number: 1-based; within the document.
    """

    title: str
    page_number: int


class PageContent(Protocol):
    """An open PDF; pages are 1-based. Errors as in ``mupdf_document.MupdfDocument``."""

    def size(self, page_number: int) -> Size:
        """How large a page is."""
        ...

    def label(self, page_number: int) -> str | None:
        """The label of a page, "" without one; None if the labels are damaged."""
        ...

    def text(self, page_number: int) -> PageText:
        """The text layer of a page."""
        ...

    def outline(self) -> list[OutlineEntry]:
        """The outline of the document, in its order; empty without one."""
        ...

    def draw(self, page_number: int, fit: Fit) -> Drawing:
        """Draw a page on white, with annotations and form fields."""
        ...

    def whole(self, page_number: int, fit: Fit) -> WholePage:
        """Draw a page, and read its label and text, in one go."""
        ...
