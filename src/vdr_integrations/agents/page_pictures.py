"""Pictures of indexed pages, and of parts of them at a higher resolution."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.errors import (
    MissingExtraError,
    OptionError,
    PageError,
    PageReferenceError,
)
from vdr_integrations.pages import open_image, open_pdf
from vdr_integrations.pages.find_files import IMAGE_SUFFIXES
from vdr_integrations.types import PageImage, PixelBudget

if TYPE_CHECKING:
    from collections.abc import Generator

    from PIL import Image

    from vdr_integrations.agents.box import Box
    from vdr_integrations.agents.found_pages import FoundPage
    from vdr_integrations.pages import PageStore, PdfPage

__all__ = ["PagePictures", "Zoomed"]

_MAX_PIXELS = 16_000_000
"""Of a whole page that is drawn for a part of it: 48 MB."""

_MAX_PIXELS_PER_PT = 600 / 72
"""600 dpi; finer print there is none."""


@dataclass(frozen=True, slots=True)
class Zoomed:
    """A page, or a part of it, as large as it could be had.

    Attributes:
        image: Mode RGB.
        size_pt: Width and height of the whole page in PDF points; None where there is no PDF.
        is_redrawn: From the document's file; else cut from the picture that was indexed.
    """

    image: Image.Image
    size_pt: tuple[float, float] | None = None
    is_redrawn: bool = False


@dataclass(frozen=True, slots=True)
class _ExactSize(PixelBudget):
    """A budget that is one size."""

    height: int = 0
    width: int = 0

    def fit(self, *, height: float, width: float, source: str = "image") -> tuple[int, int]:
        del height, width, source
        return self.height, self.width

    def fill(self, *, height: float, width: float, source: str = "page") -> tuple[int, int]:
        del height, width, source
        return self.height, self.width


@dataclass(frozen=True, slots=True)
class PagePictures:
    """Where pictures of pages come from: the page store, or the files that were indexed.

    A file is drawn only if it still shows, pixel for pixel, what was indexed: whatever path
    stands in an index, no other file is ever shown.

    Attributes:
        store: Of indexed pictures; None for none.
        budget: The encoder's: what pages are drawn at that the store does not hold; None where
            the store holds all there are.
        password: Of encrypted PDFs.
    """

    store: PageStore | None
    budget: PixelBudget | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse to have nowhere to take pictures from."""
        if self.store is None and self.budget is None:
            raise OptionError("pictures of pages come from a store or a budget; give one of them.")

    def indexed(self, page: FoundPage) -> PageImage:
        """The picture that was indexed.

        Raises:
            PageReferenceError: It is not stored, and the file is gone or was changed.
            PageError: The file cannot be drawn any more.
        """
        ref = _ref(page)
        if self.store is not None and (self.budget is None or ref in self.store):
            return self.store.get(ref)
        assert self.budget is not None  # noqa: S101  # else there is a store
        with _as_indexed(page, self.budget, self.password) as (_, drawn):
            return drawn

    def zoomed(self, page: FoundPage, box: Box | None, *, max_side_px: int) -> Zoomed:
        """A page or a part of it, at most ``max_side_px`` a side where it is drawn again.

        Raises:
            PageReferenceError: As :meth:`indexed`.
            PageError: As :meth:`indexed`.
        """
        stored, budget = self._stored(page), self.budget
        if stored is not None:
            budget = _ExactSize(height=stored.height, width=stored.width)
        if budget is None:
            stored, budget = self.indexed(page), PixelBudget()  # raises the error that says so
        try:
            with _as_indexed(page, budget, self.password) as (opened, _):
                return _drawn(opened, box, max_side_px)
        except (PageError, MissingExtraError):
            if stored is None:
                raise
        return Zoomed(_cut(stored.image, box))

    def _stored(self, page: FoundPage) -> PageImage | None:
        if self.store is None:
            return None
        try:
            return self.store.get(_ref(page))
        except PageReferenceError:
            return None


def _ref(page: FoundPage) -> str:
    if page.page_ref is None:
        raise PageReferenceError("it is a piece of text and has no picture.", source=page.citation)
    return page.page_ref


@contextmanager
def _as_indexed(
    page: FoundPage, budget: PixelBudget, password: str | None
) -> Generator[tuple[PdfPage | PageImage, PageImage]]:
    """The page of the file, and its picture, which is the one that was indexed."""
    path, number = Path(page.source), page.page_number
    try:
        is_file = path.is_file()
    except (OSError, ValueError):
        is_file = False
    if number is None or not is_file:
        raise _gone(page)
    name = page.source
    if path.suffix.lower() in IMAGE_SUFFIXES:
        photo = open_image(path, name=name)
        drawn = PageImage(photo.render(budget), source=name)
        _check(page, drawn)
        yield photo, drawn
        return
    with open_pdf(path, name=name, password=password) as document:
        if number > len(document):
            raise _gone(page)
        opened = document[number - 1]
        drawn = opened.to_image(budget)
        _check(page, drawn)
        yield opened, drawn


def _check(page: FoundPage, drawn: PageImage) -> None:
    if str(drawn.ref) != page.page_ref:
        raise _gone(page)


def _gone(page: FoundPage) -> PageReferenceError:
    return PageReferenceError(
        "the file is not here, or does not show what was indexed; index it again.",
        source=page.source,
        page_number=page.page_number,
    )


def _drawn(opened: PdfPage | PageImage, box: Box | None, max_side_px: int) -> Zoomed:
    if isinstance(opened, PageImage):
        return Zoomed(_cut(opened.image, box), is_redrawn=True)
    width_pt, height_pt = opened.width_pt, opened.height_pt
    across, down = width_pt, height_pt
    if box is not None:
        left, top, right, bottom = box.within(width_pt, height_pt)
        across, down = right - left, bottom - top
    scale = min(
        max_side_px / max(across, down),
        (_MAX_PIXELS / (width_pt * height_pt)) ** 0.5,
        _MAX_PIXELS_PER_PT,
    )
    size = _ExactSize(
        height=max(1, round(height_pt * scale)), width=max(1, round(width_pt * scale))
    )
    return Zoomed(_cut(opened.render(size), box), (width_pt, height_pt), is_redrawn=True)


def _cut(image: Image.Image, box: Box | None) -> Image.Image:
    return image if box is None else image.crop(box.pixels(image.width, image.height))
