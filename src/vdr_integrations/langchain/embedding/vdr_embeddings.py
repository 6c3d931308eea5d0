"""LangChain embeddings of page images and texts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings
from pydantic import AliasChoices, Field

from vdr_integrations.defaults import DEFAULT_DENSE_MODEL
from vdr_integrations.encoders.preprocessing.text_check import check_text
from vdr_integrations.langchain.encoder_model import STRICT_CONFIG, EncoderModel
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

    Vector stores give an embedder only strings. A string that is exactly a page reference
    (``vdr-page:<sha256>``, the ``page_content`` that :class:`PDFPageLoader` writes) is embedded as
    that page's image; any other string as text. Document text is never read as a path or URL.

    The model is loaded on first use, once per process for any number of objects. Any number of
    threads and tasks may call one object. Copies and pickles hold options, never weights, and
    pickles never hold the token.

    All vectors are lists of Python floats, L2-normalised, of length :attr:`dimension` (that of the
    checkpoint if it is None). Methods raise CheckpointError if the model cannot be loaded,
    EncodingError if it computes no vector, PageError if an image cannot be opened (URLs are never
    opened) or a reference does not resolve, and OptionError for half a surrogate pair.

    Example:
        >>> embeddings = VDREmbeddings(model="nano")
        >>> len(embeddings.embed_query("How did revenue change?"))
        512
    """

    model_config = STRICT_CONFIG

    # AliasChoices, not an alias, so that type checkers know the argument ``model``.
    model: str = Field(
        default=DEFAULT_DENSE_MODEL,
        min_length=1,
        validation_alias=AliasChoices("model", "model_name"),
    )
    """Hub id, local folder, or ``"nano"``, the small checkpoint in this package. ``model_name`` is
    accepted too."""

    show_progress: bool = False
    """Show progress bars on stderr."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of pages (strings that are exactly page references) and of texts, in order."""
        return self._encode(self._inputs(texts))

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """:meth:`embed_documents` without blocking the event loop."""
        return await self._aencode(await asyncio.to_thread(self._inputs, texts))

    def embed_query(self, text: str) -> list[float]:
        """Vector of a question, which is text even if it looks like a page reference."""
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
        """:meth:`embed_images` with the name and keyword that Chroma and LanceDB use."""
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
