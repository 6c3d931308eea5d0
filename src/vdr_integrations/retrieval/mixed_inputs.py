"""Encodes texts and pages of one list, as frameworks give them to an embedding."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from vdr_integrations.errors import OptionError
from vdr_integrations.pages.images.picture import Picture
from vdr_integrations.pages.page_inputs import (
    PageInStore,
    name_of,
    open_page,
    stored_page,
)
from vdr_integrations.types import Page, PageImage, PageRef

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from vdr_integrations.encoders import DenseEncoder
    from vdr_integrations.pages import PageStore
    from vdr_integrations.pages.page_inputs import ImageInput
    from vdr_integrations.types import PixelBudget

__all__ = [
    "MixedInput",
    "aencode_mixed",
    "cache_key",
    "encode_mixed",
    "label_of",
    "page_or_text",
    "shrunk_page",
]

MixedInput: TypeAlias = str | Page

Vector = list[float]


@dataclass(frozen=True, slots=True)
class _Shrunk:
    """An image at the size that an encoder uses, identified by the pixels of the original."""

    image: PageImage
    sha256: str
    source: str

    def render(self, budget: PixelBudget) -> Image.Image:
        return self.image.render(budget)


def page_or_text(text: str, *, store: PageStore) -> MixedInput:
    """The stored page, if ``text`` is exactly its reference; else the text itself.

    Raises:
        OptionError: It begins like a reference and is none: a text splitter has cut it, or there is
            more text. Or one of its lines is the reference of a stored page.
        PageReferenceError: A reference to a page that is not in the store.
    """
    page = stored_page(text, store=store)
    if page is None and PageRef.SCHEME in text:
        _refuse_piece(text, store)
    return page or text


def shrunk_page(image: ImageInput, *, store: PageStore, budget: PixelBudget) -> Page:
    """An image in any form, opened and shrunk; a page of the store is left unread.

    Photographs are much larger than any budget: a batch of them must not fill the memory.

    Raises:
        PageError: The image cannot be opened, or is too large or too elongated.
    """
    page = open_page(image, store=store)
    if isinstance(page, PageInStore):
        return page
    name = name_of(page) or "image"
    return _shrunk(page.opened() if isinstance(page, Picture) else page, name, budget)


def cache_key(item: MixedInput) -> str:
    """A key of a text or of an image's pixels: equal keys mean equal vectors of one encoder."""
    if isinstance(item, str):
        return "text:" + hashlib.sha256(item.encode("utf-8", "surrogatepass")).hexdigest()
    return f"page:{item.ref.sha256 if isinstance(item, PageInStore) else _sha256(item)}"


def label_of(item: MixedInput) -> str:
    """The label of an input for observers: a text, a reference, path or name, never pixels."""
    if isinstance(item, str):
        return item
    return item.source if isinstance(item, _Shrunk) else name_of(item) or "page"


def encode_mixed(
    encoder: DenseEncoder, items: Sequence[MixedInput], *, show_progress: bool = False
) -> list[Vector]:
    """Vectors of texts and pages, in order, as Python floats; see ``DenseEncoder``."""
    texts, pages = _split(items)
    vectors: dict[int, Vector] = {}
    if texts:
        found = encoder.encode_queries(texts.values(), show_progress=show_progress)
        vectors |= _by_place(texts, found)
    if pages:
        found = encoder.encode_pages(pages.values(), show_progress=show_progress)
        vectors |= _by_place(pages, found)
    return [vectors[place] for place in range(len(items))]


async def aencode_mixed(
    encoder: DenseEncoder, items: Sequence[MixedInput], *, show_progress: bool = False
) -> list[Vector]:
    """:func:`encode_mixed` without blocking the event loop."""
    texts, pages = _split(items)
    vectors: dict[int, Vector] = {}
    if texts:
        found = await encoder.aencode_queries(texts.values(), show_progress=show_progress)
        vectors |= _by_place(texts, found)
    if pages:
        found = await encoder.aencode_pages(pages.values(), show_progress=show_progress)
        vectors |= _by_place(pages, found)
    return [vectors[place] for place in range(len(items))]


def _refuse_piece(text: str, store: PageStore) -> None:
    """Refuse a reference that was cut, or that stands beside other text."""
    lines = [line.strip() for line in text.splitlines()]
    ref = next((ref for line in lines if (ref := PageRef.parse(line)) and ref in store), None)
    if ref is not None:
        raise OptionError(
            f"{ref} stands beside other text, found {len(text):,} characters; a page is embedded "
            f"as its image, so its content must be the reference alone. In LlamaIndex, add "
            f"metadata keys that were set after parsing to the node's "
            f"excluded_embed_metadata_keys; in LangChain, leave page_content as it is."
        )
    if text.lstrip().startswith(PageRef.SCHEME):
        raise OptionError(
            f"found {len(text):,} characters that begin with {PageRef.SCHEME} and are no page "
            f"reference, which has {len(PageRef.SCHEME) + 64}. If a text splitter has cut it, use "
            f"none for pages: a page is one document. A question may begin so."
        )


def _split(items: Sequence[MixedInput]) -> tuple[dict[int, str], dict[int, Page]]:
    texts = {place: item for place, item in enumerate(items) if isinstance(item, str)}
    pages = {place: item for place, item in enumerate(items) if not isinstance(item, str)}
    return texts, pages


def _by_place(
    places: dict[int, str] | dict[int, Page], found: NDArray[np.float32]
) -> dict[int, Vector]:
    return dict(zip(places, found.tolist(), strict=True))


def _shrunk(page: Page, name: str, budget: PixelBudget) -> _Shrunk:
    image = PageImage(page.render(budget), source=name)
    return _Shrunk(image, page.sha256 if isinstance(page, PageImage) else image.sha256, name)


def _sha256(page: Page) -> str:
    if isinstance(page, _Shrunk | PageImage):
        return page.sha256
    raise TypeError(f"{type(page).__name__} has no digest; open it with shrunk_page.")
