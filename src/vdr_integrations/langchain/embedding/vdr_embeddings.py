"""LangChain embeddings that see pages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings
from pydantic import AliasChoices, Field

from vdr_integrations.encoders.preprocessing.text_check import check_text
from vdr_integrations.langchain.encoder_model import EncoderModel, configured
from vdr_integrations.pages import PageStore
from vdr_integrations.pages.page_inputs import check_list, open_page
from vdr_integrations.retrieval.encoder_fields import DenseFields
from vdr_integrations.retrieval.mixed_inputs import aencode_mixed, encode_mixed, page_or_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.encoders import EncoderOptions
    from vdr_integrations.pages.page_inputs import ImageInput
    from vdr_integrations.retrieval.mixed_inputs import MixedInput

__all__ = ["VDREmbeddings"]


class VDREmbeddings(EncoderModel, DenseFields, Embeddings):
    """Embeddings of page images and of questions about them, in one vector space.

    Vector stores hand an embedder nothing but strings. A string that is exactly a page reference
    (``vdr-page:<sha256>``, what :class:`PDFPageLoader` writes into ``page_content``) is embedded
    as that page's image; any other string as text. Document text is never read as a path or URL.

    The model is loaded on first use, once per process however many objects use it. Any number of
    threads and tasks may call one object. Pickles and copies hold options, never weights or
    tokens.

    All vectors are lists of Python floats, L2-normalised, of length :attr:`dimension` (the
    checkpoint's own if that is None). Methods raise CheckpointError if the model cannot be loaded,
    EncodingError if it gives no vector, PageError if an image cannot be opened (URLs are never
    opened) or a reference does not resolve, and OptionError for half a surrogate pair.

    Example:
        >>> embeddings = VDREmbeddings(model="nano")
        >>> len(embeddings.embed_query("How did revenue change?"))
        512
    """

    model_config = configured

    # An alias choice, not an alias: type checkers then know the argument as ``model``.
    model: str = Field(
        default="llamaindex/vdr-2b-multi-v1",
        min_length=1,
        validation_alias=AliasChoices("model", "model_name"),
    )
    """Hub id, local folder, or ``"nano"``, the small checkpoint that comes with the package.
    ``model_name`` is accepted too."""

    show_progress: bool = False
    """Show progress bars on stderr."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of pages (strings that are exactly page references) and of other texts."""
        return self._encode(self._inputs(texts))

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """:meth:`embed_documents` without blocking the event loop."""
        return await self._aencode(await asyncio.to_thread(self._inputs, texts))

    def embed_query(self, text: str) -> list[float]:
        """Vector of a question; a page reference is text like any other here."""
        return self._encode([text])[0]

    async def aembed_query(self, text: str) -> list[float]:
        """:meth:`embed_query` without blocking the event loop."""
        return (await self._aencode([text]))[0]

    def embed_images(self, images: Sequence[ImageInput]) -> list[list[float]]:
        """Vectors of images: paths, bytes, ``data:`` URIs, PIL images, arrays, references."""
        return self._encode(self._pages(images))

    async def aembed_images(self, images: Sequence[ImageInput]) -> list[list[float]]:
        """:meth:`embed_images` without blocking the event loop."""
        return await self._aencode(await asyncio.to_thread(self._pages, images))

    def embed_image(self, uris: list[str]) -> list[list[float]]:
        """:meth:`embed_images` under the name and keyword that Chroma and LanceDB look for."""
        return self.embed_images(uris)

    @property
    def encoder_options(self) -> EncoderOptions:
        """The options that the encoder is loaded with."""
        return self._encoder_options(self.model, self.max_visual_tokens, self.dimension)

    def _inputs(self, texts: list[str]) -> list[MixedInput]:
        check_list(texts, argument="texts")
        store = PageStore(self.page_store_path)
        items = [page_or_text(text, store=store) for text in texts]
        for place, item in enumerate(items):
            if isinstance(item, str):
                check_text(item, subject=f"texts[{place}]")
        return items

    def _pages(self, images: Sequence[ImageInput]) -> list[MixedInput]:
        check_list(images, argument="images")
        store = PageStore(self.page_store_path)
        return [open_page(image, store=store) for image in images]

    def _encode(self, items: list[MixedInput]) -> list[list[float]]:
        if not items:
            return []
        encoder = self._encoders.dense(self.encoder_options)
        return encode_mixed(encoder, items, show_progress=self.show_progress)

    async def _aencode(self, items: list[MixedInput]) -> list[list[float]]:
        if not items:
            return []
        encoder = await self._encoders.adense(self.encoder_options)
        return await aencode_mixed(encoder, items, show_progress=self.show_progress)
