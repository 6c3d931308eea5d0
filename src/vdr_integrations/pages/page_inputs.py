"""What an input stands for: a stored page, an image to open, or plain text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError
from vdr_integrations.pages.images.any_image import ImageSource, open_image, unopened_image
from vdr_integrations.pages.images.picture import Picture
from vdr_integrations.types import Page, PageImage, PageRef

if TYPE_CHECKING:
    from PIL import Image

    from vdr_integrations.pages.page_store import PageStore
    from vdr_integrations.types import PixelBudget

__all__ = [
    "ImageInput",
    "PageInStore",
    "check_list",
    "name_of",
    "open_page",
    "stored_page",
]

ImageInput = ImageSource | PageRef | Page
"""A path, an encoded image, a ``data:`` URI, pixels, a page, or the reference of a stored page."""


@dataclass(frozen=True, slots=True)
class PageInStore:
    """A page of a store, read when it is rendered: references cost no memory until then."""

    store: PageStore
    ref: PageRef

    def render(self, budget: PixelBudget) -> Image.Image:
        """The stored image, resized to what ``budget`` asks for.

        Raises:
            PageReferenceError: The image is not in the store, or was altered.
        """
        return self.store.get(self.ref).render(budget)


def stored_page(text: str, *, store: PageStore) -> PageInStore | None:
    """The stored page that ``text`` is the exact reference of, or None for any other text.

    Raises:
        PageReferenceError: A reference to a page that is not in the store.
    """
    ref = PageRef.parse(text)
    return None if ref is None else _checked(ref, store)


def name_of(page: Page) -> str | None:
    """What a page is called, a path, reference or other name; None if it has no name."""
    if isinstance(page, PageInStore):
        return str(page.ref)
    if isinstance(page, Picture):
        return None if isinstance(page.content, bytes) else page.source
    return page.source if isinstance(page, PageImage) else None


def check_list(items: object, *, argument: str) -> None:
    """Refuse a lone string where a list is meant: it would be read letter by letter.

    Raises:
        OptionError: ``items`` is a str or bytes.
    """
    if isinstance(items, str | bytes | bytearray):
        raise OptionError(
            f"{argument} must be a list, found a single {type(items).__name__}; "
            f"wrap it: {argument}=[...]."
        )


def open_page(image: ImageInput, *, store: PageStore) -> Page:
    """A page of an image in any form that ``open_image`` takes, or of a reference.

    Files and bytes are decoded when the page is rendered: a thousand photographs fit into memory.

    Raises:
        PageReferenceError: A reference to a page that is not in the store.
        ImageDecodeError: Pixels that make no image; files show it when they are rendered.
        ImageTooLargeError: More pixels than ``ImageLimits`` allows.
        OptionError: Something else than an image.
    """
    if isinstance(image, Page):
        return image
    if isinstance(image, PageRef):
        return _checked(image, store)
    if isinstance(image, str) and (page := stored_page(image, store=store)) is not None:
        return page
    return unopened_image(image) or open_image(image)


def _checked(ref: PageRef, store: PageStore) -> PageInStore:
    if ref not in store:
        store.get(ref)  # raises the error that says so
    return PageInStore(store, ref)
