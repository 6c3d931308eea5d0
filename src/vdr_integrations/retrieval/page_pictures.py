"""Images of indexed pages, and of parts of them at a higher resolution.

An index stores no images. They come from the page store, or are drawn again from the indexed files.
A file is used only if its page still has exactly the pixels that were indexed, so that a path in an
index can never show another file.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.errors import (
    MissingExtraError,
    OptionError,
    PageError,
    PageReferenceError,
    PageStoreError,
)
from vdr_integrations.pages.open_document import DocumentPage, open_document
from vdr_integrations.pages.process_limits import DEFAULT_PROCESS_LIMITS, ProcessLimits
from vdr_integrations.retrieval.found_page import AnyPage, FoundPage
from vdr_integrations.types import PageImage, PixelBudget

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from PIL import Image

    from vdr_integrations.pages import PageStore
    from vdr_integrations.retrieval.box import Box

__all__ = ["PagePictures", "Zoomed"]

_logger = logging.getLogger(__name__)

_MAX_PIXELS = 16_000_000
"""Pixels of a whole page, which is drawn even to show only a part of it: 48 MB."""

_MAX_PIXELS_PER_PT = 600 / 72
"""600 dpi; no print is finer."""


@dataclass(frozen=True, slots=True)
class Zoomed:
    """A page, or a part of it, at the highest available resolution.

    Attributes:
        image: An RGB image.
        size_pt: Width and height of the whole page in PDF points; None if there is no PDF.
        is_redrawn: Whether it was drawn from the document's file; else it is a part of the indexed
            image.
    """

    image: Image.Image
    size_pt: tuple[float, float] | None = None
    is_redrawn: bool = False


@dataclass(frozen=True, slots=True)
class _ExactSize(PixelBudget):
    """A budget that always gives the same size."""

    height: int = 0
    width: int = 0

    def fit(self, *, height: float, width: float, source: str = "image") -> tuple[int, int]:
        del height, width, source
        return self.height, self.width

    def fill(self, *, height: float, width: float, source: str = "page") -> tuple[int, int]:
        del height, width, source
        return self.height, self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class _FinestSize(PixelBudget):
    """A budget that shows a part of a page as fine as it may be. Pixels stay as they are."""

    box: Box | None
    max_side_px: int

    def fit(self, *, height: float, width: float, source: str = "image") -> tuple[int, int]:
        del source
        return round(height), round(width)

    def fill(self, *, height: float, width: float, source: str = "page") -> tuple[int, int]:
        del source
        across, down = width, height
        if self.box is not None:
            left, top, right, bottom = self.box.within(width, height)
            across, down = right - left, bottom - top
        scale = min(
            self.max_side_px / max(across, down),
            (_MAX_PIXELS / (width * height)) ** 0.5,
            _MAX_PIXELS_PER_PT,
        )
        return max(1, round(height * scale)), max(1, round(width * scale))


@dataclass(frozen=True, slots=True)
class PagePictures:
    """Gets the images of pages.

    Attributes:
        store: Store of indexed images; None for none.
        budget: Pixel budget of the encoder, to draw pages that the store does not hold; None if
            the store holds all pages.
        password: Password of encrypted PDFs.
        process_limits: Limits of the process that opens files again. None opens them in this
            process, without limits.
    """

    store: PageStore | None
    budget: PixelBudget | None = None
    password: str | None = field(default=None, repr=False)
    process_limits: ProcessLimits | None = DEFAULT_PROCESS_LIMITS

    def __post_init__(self) -> None:
        """Refuse to have neither a store nor a budget."""
        if self.store is None and self.budget is None:
            raise OptionError("images of pages need a store or a pixel budget; give one of them.")

    def indexed(self, page: AnyPage) -> PageImage:
        """The image that was indexed.

        Raises:
            PageReferenceError: The image is not stored, and the file is missing or has changed.
            PageStoreError: The store cannot be read, and the page cannot be drawn either.
            PageError: The file cannot be drawn any more.
            MissingExtraError: The file is a PDF, and PyMuPDF is not installed.
        """
        found = FoundPage.of(page)
        ref = _ref(found)
        unreadable: PageStoreError | None = None
        if self.store is not None:
            try:
                if self.budget is None or ref in self.store:
                    return self.store.get(ref)
            except PageStoreError as error:
                if self.budget is None:
                    raise
                unreadable = error
        assert self.budget is not None  # noqa: S101  # else there is a store
        try:
            with self._as_indexed(found, self.budget) as (_, drawn):
                return drawn
        except (PageError, MissingExtraError) as error:
            if unreadable is not None:
                raise unreadable from error
            raise

    def restored(self, page: AnyPage) -> PageImage:
        """The image that was indexed; if the store has lost it or cannot be read, it is put there.

        Raises:
            VdrError: See :meth:`indexed`. Or the store cannot be written to.
        """
        ref = _ref(FoundPage.of(page))
        stored = self._stored(ref)
        if stored is not None:
            return stored
        drawn = replace(self, store=None).indexed(page)
        if self.store is not None:
            self.store.put(drawn)
        return drawn

    def zoomed(self, page: AnyPage, box: Box | None, *, max_side_px: int) -> Zoomed:
        """A page or a part of it; if it is drawn again, no side is longer than ``max_side_px``.

        Raises:
            VdrError: See :meth:`indexed`.
        """
        found = FoundPage.of(page)
        stored, budget = self._stored(_ref(found)), self.budget
        if stored is not None:
            budget = _ExactSize(height=stored.height, width=stored.width)
        if budget is None:
            stored, budget = self.indexed(found), PixelBudget()  # raises the error that says so
        try:
            with self._as_indexed(found, budget) as (opened, _):
                return _drawn(opened, box, max_side_px)
        except (PageError, MissingExtraError):
            if stored is None:
                raise
        return Zoomed(_cut(stored.image, box))

    def keep(self, pages: Iterable[AnyPage]) -> None:
        """Put the available images of pages into the store.

        A page whose file is missing, encrypted or changed is left out and logged; its image is not
        available then. If the store cannot be used, that is logged once, and no more pages are
        tried: what was found stays right without images. Each file is opened once.

        Raises:
            OptionError: There is no store, or no budget.
        """
        store, budget = self.store, self.budget
        if store is None or budget is None:
            raise OptionError("keeping images needs a store and a pixel budget; give both.")
        try:
            for source, refs in _missing(pages, store).items():
                self._keep_document(source, refs, store, budget)
        except PageStoreError as error:
            _logger.warning("images of pages are not kept: %s", error)

    def _keep_document(
        self, source: str, refs: dict[int, str], store: PageStore, budget: PixelBudget
    ) -> None:
        try:
            with self._opened(source) as opened:
                for number in list(refs):
                    drawn = _image_of(opened, number, budget)
                    if drawn is not None and str(drawn.ref) == refs[number]:
                        store.put(drawn)
                        del refs[number]
        except PageStoreError:
            raise
        except (PageError, MissingExtraError, OSError) as error:
            _logger.warning("no images of %s: %s", source, error)
            return
        if refs:
            numbers = ", ".join(map(str, sorted(refs)))
            _logger.warning("no images of %s, pages %s: %s", source, numbers, _GONE)

    @contextmanager
    def _opened(self, source: str) -> Generator[Sequence[DocumentPage]]:
        """The pages of a document's file; empty if there is no such file."""
        path = Path(source)
        # The name of a document may be any text; it is opened only if it is the path of a file.
        try:
            is_file = path.is_file()
        except (OSError, ValueError):
            is_file = False
        if not is_file:
            yield []
            return
        with open_document(
            path, name=source, password=self.password, process_limits=self.process_limits
        ) as pages:
            yield pages

    @contextmanager
    def _as_indexed(
        self, page: FoundPage, budget: PixelBudget
    ) -> Generator[tuple[DocumentPage, PageImage]]:
        """The page of the file, and its image, which has the pixels that were indexed."""
        with self._opened(page.source) as pages:
            number = page.page_number or 0
            drawn = _image_of(pages, number, budget)
            if drawn is None or str(drawn.ref) != page.page_ref:
                raise PageReferenceError(_GONE, source=page.source, page_number=page.page_number)
            yield pages[number - 1], drawn

    def _stored(self, ref: str) -> PageImage | None:
        if self.store is None:
            return None
        try:
            return self.store.get(ref)
        except (PageReferenceError, PageStoreError):
            return None


_GONE = (
    "the file is not here, or does not show what was indexed; index the document again. If a "
    "reader drew the page with another max_visual_tokens or token_side_px, give these here too."
)


def _missing(pages: Iterable[AnyPage], store: PageStore) -> dict[str, dict[int, str]]:
    """References of the pages that are not stored, by page number, of each document."""
    missing: dict[str, dict[int, str]] = {}
    for page in map(FoundPage.of, pages):
        ref, number = page.page_ref, page.page_number
        if ref is not None and number is not None and ref not in store:
            missing.setdefault(page.source, {})[number] = ref
    return missing


def _ref(page: FoundPage) -> str:
    if page.page_ref is None:
        raise PageReferenceError("it is a piece of text and has no image.", source=page.citation)
    return page.page_ref


def _image_of(pages: Sequence[DocumentPage], number: int, budget: PixelBudget) -> PageImage | None:
    """A page as ``sync_index`` draws it; None if the file does not have it."""
    if not 1 <= number <= len(pages):
        return None
    page = pages[number - 1]
    return PageImage(page.render(budget), source=str(page))


def _drawn(opened: DocumentPage, box: Box | None, max_side_px: int) -> Zoomed:
    finest = _FinestSize(box=box, max_side_px=max_side_px)
    return Zoomed(_cut(opened.render(finest), box), opened.size_pt, is_redrawn=True)


def _cut(image: Image.Image, box: Box | None) -> Image.Image:
    return image if box is None else image.crop(box.pixels(image.width, image.height))
