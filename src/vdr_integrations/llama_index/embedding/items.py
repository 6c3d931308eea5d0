"""What LlamaIndex hands an embedder, told apart: texts and pages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError
from vdr_integrations.pages import PageStore, open_image
from vdr_integrations.types import Page, PageImage, PageRef, PixelBudget

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdr_integrations.pages.page_inputs import ImageInput

__all__ = [
    "EmbeddingItem",
    "ItemContext",
    "PageItem",
    "TextItem",
    "image_item",
    "query_item",
    "stored_page",
    "text_item",
]


@dataclass(frozen=True, slots=True)
class ItemContext:
    """What turning an input into an item takes.

    Attributes:
        store: Where references are looked up.
        budget: Size that images are shrunk to.
    """

    store: PageStore
    budget: PixelBudget


@dataclass(frozen=True, slots=True)
class TextItem:
    """A question, or a passage that is no page.

    Attributes:
        text: As it was given.
    """

    text: str

    @property
    def label(self) -> str:
        """What events and callbacks call it."""
        return self.text

    @property
    def cache_key(self) -> str:
        """Equal exactly for inputs of equal vectors under one encoder."""
        return "text:" + hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class PageItem:
    """A page image, read when it is needed.

    Attributes:
        label: What events and callbacks call it: a reference, path or name, never pixels.
        sha256: Of the pixels, see ``PageImage.sha256``.
        load: Gives the image.
    """

    label: str
    sha256: str
    load: Callable[[], PageImage]

    @property
    def cache_key(self) -> str:
        """Equal exactly for inputs of equal vectors under one encoder."""
        return f"page:{self.sha256}"


EmbeddingItem = TextItem | PageItem


def query_item(text: str, _context: ItemContext) -> TextItem:
    """A question. What looks like a page reference is text here like any other."""
    return TextItem(text)


def text_item(text: str, context: ItemContext) -> EmbeddingItem:
    """The page that ``text`` is the exact reference of, or the text itself.

    Raises:
        OptionError: Nothing but white space, or a stored page's reference followed by more text.
    """
    if (ref := PageRef.parse(text)) is not None:
        return stored_page(ref, context)
    if not text.strip():
        raise OptionError(
            "found an empty text to embed; all empty texts would share one vector. LlamaIndex "
            "sends one for image nodes without text: read PDFs with PDFPageReader and "
            "PDFPageNodeParser, or put the embedding among the transformations, where it sees "
            "the nodes' images."
        )
    first_line, separator, _ = text.partition("\n")
    if separator and (ref := PageRef.parse(first_line)) is not None and ref in context.store:
        raise OptionError(
            f"{ref} is followed by other text, found {len(text)} characters; a page node embeds "
            f"its reference alone. Add the metadata keys that were set after parsing to the "
            f"node's excluded_embed_metadata_keys."
        )
    return TextItem(text)


def image_item(image: ImageInput, context: ItemContext) -> PageItem:
    """An image in any form, opened and shrunk to the budget; or a stored page by its reference.

    Raises:
        ImageDecodeError: Not an image; URLs are refused too.
        ImageTooLargeError: More pixels than ``ImageLimits`` allows.
        PageGeometryError: Too elongated to be encoded.
    """
    ref = PageRef.parse(image) if isinstance(image, str) else image
    if isinstance(ref, PageRef):
        return stored_page(ref, context)
    page = image if isinstance(image, Page) else open_image(image)  # pyright: ignore[reportArgumentType]  # a PageRef went the other way
    name = page.source if isinstance(page, PageImage) else "page"
    # Photographs are much larger than any budget; a batch of them must not fill the memory.
    shrunk = PageImage(page.render(context.budget), source=name)
    known = page.sha256 if isinstance(page, PageImage) else shrunk.sha256
    return PageItem(label=name, sha256=known, load=lambda: shrunk)


def stored_page(ref: PageRef, context: ItemContext) -> PageItem:
    """The page under ``ref``; whether it is there shows when it is loaded."""
    return PageItem(label=str(ref), sha256=ref.sha256, load=lambda: context.store.get(ref))
