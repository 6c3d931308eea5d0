"""LangChain embeddings that see pages."""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings
from pydantic import AliasChoices, Field, PrivateAttr

from vdr_integrations.encoders.encoder_on_demand import EncoderOnDemand
from vdr_integrations.encoders.preprocessing.text_check import check_text
from vdr_integrations.langchain.encoder_model import EncoderModel, configured
from vdr_integrations.pages import PageStore
from vdr_integrations.pages.page_inputs import ImageInput, check_list, open_page, stored_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from vdr_integrations.encoders import EncoderOptions
    from vdr_integrations.types import Page

__all__ = ["VDREmbeddings"]


class VDREmbeddings(EncoderModel, Embeddings):
    """Embeddings of page images and of questions about them, in one vector space.

    Vector stores hand an embedder nothing but strings. A string that is exactly a page reference
    (``vdr-page:<sha256>``, what :class:`PDFPageLoader` writes into ``page_content``) is embedded
    as that page's image; any other string as text. Document text is never read as a path or URL.

    The model is loaded on first use, once per process however many objects use it. Any number of
    threads and tasks may call one object. Pickles and copies hold options, never weights or
    tokens.

    All vectors are lists of Python floats, L2-normalised, of length :attr:`dimension` (the
    checkpoint's own where that is None).

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

    dimension: int | None = Field(
        default=None, ge=1, validation_alias=AliasChoices("dimension", "truncate_dim")
    )
    """Length that vectors are cut to before they are normalised (Matryoshka); None: not cut.
    ``truncate_dim`` is accepted too."""

    max_visual_tokens: int = Field(default=768, ge=1)
    """Upper limit per page; 768 is what the vdr-2b-multi-v1 card recommends."""

    show_progress: bool = False
    """Show progress bars on stderr."""

    _encoders: EncoderOnDemand = PrivateAttr(default_factory=EncoderOnDemand)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of pages (strings that are exactly page references) and of other texts.

        Args:
            texts: References and texts, in any order; may be empty.

        Returns:
            One vector for each string, in order.

        Raises:
            OptionError: Half a surrogate pair in a text.
            PageReferenceError: A reference names a page that is not stored, or that was altered.
            CheckpointError: The model cannot be loaded.
            EncodingError: The model could not give a vector.
        """
        pages, others = self._pages_and_texts(texts)
        page_vectors = self._encode_pages(list(pages.values()))
        text_vectors = self._encode_queries(list(others.values()))
        return _in_order(zip([*pages, *others], [*page_vectors, *text_vectors], strict=True))

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """:meth:`embed_documents` without blocking the event loop."""
        pages, others = await asyncio.to_thread(self._pages_and_texts, texts)
        page_vectors = await self._aencode_pages(list(pages.values()))
        text_vectors = await self._aencode_queries(list(others.values()))
        return _in_order(zip([*pages, *others], [*page_vectors, *text_vectors], strict=True))

    def embed_query(self, text: str) -> list[float]:
        """Vector of a question; a page reference is text like any other here.

        Raises:
            OptionError: Half a surrogate pair in the text.
            CheckpointError: The model cannot be loaded.
            EncodingError: The model could not give a vector, or the text is too long.
        """
        return self._encode_queries([text])[0]

    async def aembed_query(self, text: str) -> list[float]:
        """:meth:`embed_query` without blocking the event loop."""
        return (await self._aencode_queries([text]))[0]

    def embed_images(self, images: Sequence[ImageInput]) -> list[list[float]]:
        """Vectors of images: paths, bytes, ``data:`` URIs, PIL images, arrays, pages, references.

        Args:
            images: In any mix; URLs are refused.

        Returns:
            One vector for each image, in order.

        Raises:
            PageError: An image cannot be opened, or a reference does not resolve.
            CheckpointError: The model cannot be loaded.
            EncodingError: The model could not give a vector.
        """
        return self._encode_pages(self._image_pages(images))

    async def aembed_images(self, images: Sequence[ImageInput]) -> list[list[float]]:
        """:meth:`embed_images` without blocking the event loop."""
        return await self._aencode_pages(await asyncio.to_thread(self._image_pages, images))

    def embed_image(self, uris: list[str]) -> list[list[float]]:
        """:meth:`embed_images` under the name and keyword that Chroma and LanceDB look for.

        Args:
            uris: Paths of local image files, or page references; one vector each.
        """
        return self.embed_images(uris)

    def _pages_and_texts(self, texts: list[str]) -> tuple[dict[int, Page], dict[int, str]]:
        """Pages and texts by their place in ``texts``."""
        check_list(texts, argument="texts")
        store = self._page_store()
        pages: dict[int, Page] = {}
        others: dict[int, str] = {}
        for place, text in enumerate(texts):
            page = stored_page(text, store=store)
            if page is None:
                check_text(text, subject=f"texts[{place}]")
                others[place] = text
            else:
                pages[place] = page
        return pages, others

    def _image_pages(self, images: Sequence[ImageInput]) -> list[Page]:
        check_list(images, argument="images")
        store = self._page_store()
        return [open_page(image, store=store) for image in images]

    def _encode_pages(self, pages: list[Page]) -> list[list[float]]:
        if not pages:
            return []
        encoder = self._encoders.dense(self.encoder_options)
        return _as_floats(encoder.encode_pages(pages, show_progress=self.show_progress))

    async def _aencode_pages(self, pages: list[Page]) -> list[list[float]]:
        if not pages:
            return []
        encoder = await self._encoders.adense(self.encoder_options)
        return _as_floats(await encoder.aencode_pages(pages, show_progress=self.show_progress))

    def _encode_queries(self, texts: list[str]) -> list[list[float]]:
        if not texts:
            return []
        encoder = self._encoders.dense(self.encoder_options)
        return _as_floats(encoder.encode_queries(texts, show_progress=self.show_progress))

    async def _aencode_queries(self, texts: list[str]) -> list[list[float]]:
        if not texts:
            return []
        encoder = await self._encoders.adense(self.encoder_options)
        return _as_floats(await encoder.aencode_queries(texts, show_progress=self.show_progress))

    def _page_store(self) -> PageStore:
        return PageStore(self.page_store_path)

    @property
    def encoder_options(self) -> EncoderOptions:
        """The options that the encoder is loaded with."""
        return self._encoder_options(self.model, self.max_visual_tokens, self.dimension)


def _as_floats(vectors: np.ndarray) -> list[list[float]]:
    return vectors.tolist()  # Python floats: LangChain and JSON know no np.float32


def _in_order(placed: Iterable[tuple[int, list[float]]]) -> list[list[float]]:
    return [vector for _, vector in sorted(placed, key=itemgetter(0))]
