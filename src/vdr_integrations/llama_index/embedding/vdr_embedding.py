"""LlamaIndex embedding that sees pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from llama_index.core.embeddings import MultiModalEmbedding
from pydantic import AliasChoices, ConfigDict, Field, PrivateAttr

from vdr_integrations.defaults import DEFAULT_DENSE_MODEL, DEFAULT_VISUAL_TOKENS
from vdr_integrations.encoders.encoder_on_demand import EncoderOnDemand
from vdr_integrations.encoders.preprocessing.text_check import check_texts
from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index.embedding.batch_embedder import BatchEmbedder
from vdr_integrations.llama_index.embedding.node_items import node_item, text_item
from vdr_integrations.llama_index.embedding.vector_cache import VectorCache
from vdr_integrations.pages import PageStore
from vdr_integrations.retrieval.encoder_fields import EncoderFields
from vdr_integrations.retrieval.mixed_inputs import MixedInput, shrunk_page
from vdr_integrations.retrieval.question import direction_of_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llama_index.core.schema import BaseNode

    from vdr_integrations.encoders import DenseEncoder, EncoderOptions
    from vdr_integrations.pages.page_inputs import ImageInput
    from vdr_integrations.types import PixelBudget

__all__ = ["VDREmbedding"]

Vector = list[float]
_Source = TypeVar("_Source")


class VDREmbedding(EncoderFields, MultiModalEmbedding):
    """Embedding of page images and of questions about them, in one vector space.

    LlamaIndex hands an embedder nothing but strings. A string that is exactly a page reference
    (``vdr-page:<sha256>``, the EMBED content of the nodes that :class:`PDFPageNodeParser` makes)
    is embedded as that page's image; any other string as text. Document text is never read as a
    path or URL, and a query is always text. Among the transformations of an index or pipeline it
    embeds the images of any node that has one.

    The model is loaded on first use, once per process however many objects use it. Any number of
    threads and tasks may call one object. Copies, pickles and ``to_dict`` hold options, never
    weights. With a GPU, leave ``IngestionPipeline.run(num_workers=...)`` at one: each of its
    worker processes would load the model again.

    All vectors are lists of Python floats, L2-normalised, of length :attr:`dimension` (the
    checkpoint's own where that is None).

    Attributes:
        model_name: Hub id, local folder, or ``"nano"``, the small checkpoint in this package.
        dimension: Length that vectors are cut to before they are normalised (Matryoshka); None:
            not cut. ``truncate_dim`` is accepted too.
        max_visual_tokens: Upper limit per page; 768 is what the vdr-2b-multi-v1 card recommends.
        embed_batch_size: Texts or pages handed to the encoder at a time; how many of them go
            through the model at once, it decides by their visual tokens.
        num_workers: Batches that async calls have under way at a time; None: 2.
        embeddings_cache: Key-value store for vectors, texts and pages alike, kept by encoder and
            content: one store may serve several models.

    The other options are those of ``EncoderFields``: ``device``, ``dtype``, ``page_store_path`` ...

    Example:
        >>> model = VDREmbedding(model_name="nano")
        >>> len(model.get_query_embedding("How did revenue change?"))
        512
    """

    model_config = ConfigDict(extra="forbid")

    model_name: str = Field(default=DEFAULT_DENSE_MODEL, min_length=1)
    dimension: int | None = Field(
        default=None, ge=1, validation_alias=AliasChoices("dimension", "truncate_dim")
    )
    max_visual_tokens: int = Field(default=DEFAULT_VISUAL_TOKENS, ge=1)
    embed_batch_size: int = Field(default=32, gt=0, le=2048)
    num_workers: int | None = Field(default=None, ge=1)
    # A store has no place in to_dict, which is logged, persisted and hashed.
    embeddings_cache: Any | None = Field(default=None, exclude=True)

    _encoders: EncoderOnDemand = PrivateAttr(default_factory=EncoderOnDemand)

    @classmethod
    def class_name(cls) -> str:
        """``"VDREmbedding"``."""
        return "VDREmbedding"

    def get_query_embedding(self, query: str) -> Vector:
        """Vector of a question; a page reference is text like any other here.

        Raises:
            OptionError: Half a surrogate pair in it.
            CheckpointError: The model cannot be loaded.
            EncodingError: The model could not give a vector, or the text is too long.
        """
        return self._embed(check_texts([query]), _query)[0]

    async def aget_query_embedding(self, query: str) -> Vector:
        """:meth:`get_query_embedding` without blocking the event loop."""
        return (await self._aembed(check_texts([query]), _query))[0]

    def get_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Vector] | None = None
    ) -> Vector:
        """One vector of several questions: their mean, normalised again, or what ``agg_fn`` gives.

        Raises:
            OptionError: No question, or half a surrogate pair in one.
        """
        return (agg_fn or _mean)(self._embed(check_texts(queries), _query))

    async def aget_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Vector] | None = None
    ) -> Vector:
        """:meth:`get_agg_embedding_from_queries` without blocking the event loop."""
        return (agg_fn or _mean)(await self._aembed(check_texts(queries), _query))

    def get_text_embedding(self, text: str) -> Vector:
        """Vector of the page that ``text`` is the exact reference of, or of the text itself.

        Raises:
            OptionError: An empty text, a page reference followed by other text, or half a
                surrogate pair.
            PageReferenceError: A reference to a page that is not stored, or that was altered.
            CheckpointError: The model cannot be loaded.
            EncodingError: The model could not give a vector, or the text is too long.
        """
        return self._embed(check_texts([text]), _text)[0]

    async def aget_text_embedding(self, text: str) -> Vector:
        """:meth:`get_text_embedding` without blocking the event loop."""
        return (await self._aembed(check_texts([text]), _text))[0]

    def get_text_embedding_batch(
        self,
        texts: list[str],
        show_progress: bool = False,  # noqa: FBT001, FBT002  # LlamaIndex's signature
        **kwargs: Any,  # noqa: ANN401, ARG002  # LlamaIndex's signature
    ) -> list[Vector]:
        """Vectors of references and texts in any mix, in order; see :meth:`get_text_embedding`."""
        return self._embed(check_texts(texts), _text, show_progress=show_progress)

    async def aget_text_embedding_batch(
        self,
        texts: list[str],
        show_progress: bool = False,  # noqa: FBT001, FBT002  # LlamaIndex's signature
        **kwargs: Any,  # noqa: ANN401, ARG002  # LlamaIndex's signature
    ) -> list[Vector]:
        """:meth:`get_text_embedding_batch` without blocking the event loop."""
        return await self._aembed(check_texts(texts), _text, show_progress=show_progress)

    def get_image_embedding(self, img_file_path: ImageInput) -> Vector:
        """Vector of an image: a local path, bytes, PIL image, array, ``data:`` URI, reference.

        Raises:
            PageError: The image cannot be opened; URLs are refused too.
            CheckpointError: The model cannot be loaded.
            EncodingError: The model could not give a vector.
        """
        return self._embed([img_file_path], _image)[0]

    async def aget_image_embedding(self, img_file_path: ImageInput) -> Vector:
        """:meth:`get_image_embedding` without blocking the event loop."""
        return (await self._aembed([img_file_path], _image))[0]

    def get_image_embedding_batch(
        self,
        img_file_paths: Sequence[ImageInput],
        show_progress: bool = False,  # noqa: FBT001, FBT002  # LlamaIndex's signature
    ) -> list[Vector]:
        """Vectors of images, in order; see :meth:`get_image_embedding`."""
        return self._embed(img_file_paths, _image, show_progress=show_progress)

    async def aget_image_embedding_batch(
        self,
        img_file_paths: Sequence[ImageInput],
        show_progress: bool = False,  # noqa: FBT001, FBT002  # LlamaIndex's signature
    ) -> list[Vector]:
        """:meth:`get_image_embedding_batch` without blocking the event loop."""
        return await self._aembed(img_file_paths, _image, show_progress=show_progress)

    def __call__(
        self,
        nodes: Sequence[BaseNode],
        **kwargs: Any,  # noqa: ANN401  # LlamaIndex's signature
    ) -> Sequence[BaseNode]:
        """Embed nodes in place: page images where they have one, else their EMBED text.

        Args:
            nodes: Of any kind; a vector that a node has already is replaced.
            kwargs: ``show_progress``; LlamaIndex hands every transformation whatever the index
                was made with, and the rest of that is not meant for an embedding.

        Raises:
            OptionError: A node with nothing to embed, with nothing but an image URL, or with half
                a surrogate pair in its text.
            PageError: An image cannot be opened.
        """
        vectors = self._embed(nodes, node_item, show_progress=bool(kwargs.get("show_progress")))
        return _with_vectors(nodes, vectors)

    async def acall(
        self,
        nodes: Sequence[BaseNode],
        **kwargs: Any,  # noqa: ANN401  # LlamaIndex's signature
    ) -> Sequence[BaseNode]:
        """:meth:`__call__` without blocking the event loop."""
        show_progress = bool(kwargs.get("show_progress"))
        return _with_vectors(
            nodes, await self._aembed(nodes, node_item, show_progress=show_progress)
        )

    def _embed(
        self,
        sources: Sequence[_Source],
        to_item: Callable[[_Source, PageStore, PixelBudget], MixedInput],
        *,
        show_progress: bool = False,
    ) -> list[Vector]:
        if not sources:
            return []
        encoder = self._encoders.dense(self.encoder_options)
        item = self._to_item(to_item, encoder)
        return self._embedder(encoder).embed(sources, item, show_progress=show_progress)

    async def _aembed(
        self,
        sources: Sequence[_Source],
        to_item: Callable[[_Source, PageStore, PixelBudget], MixedInput],
        *,
        show_progress: bool = False,
    ) -> list[Vector]:
        if not sources:
            return []
        encoder = await self._encoders.adense(self.encoder_options)
        item = self._to_item(to_item, encoder)
        return await self._embedder(encoder).aembed(sources, item, show_progress=show_progress)

    def _to_item(
        self,
        to_item: Callable[[_Source, PageStore, PixelBudget], MixedInput],
        encoder: DenseEncoder,
    ) -> Callable[[_Source], MixedInput]:
        store = PageStore(self.page_store_path)
        return lambda source: to_item(source, store, encoder.pixel_budget)

    def _embedder(self, encoder: DenseEncoder) -> BatchEmbedder:
        cache = VectorCache(self.embeddings_cache, fingerprint=encoder.fingerprint)
        return BatchEmbedder(model=self, encoder=encoder, cache=cache)

    @property
    def encoder_options(self) -> EncoderOptions:
        """The options that the encoder is loaded with."""
        return self._encoder_options(self.model_name, self.max_visual_tokens, self.dimension)

    # LlamaIndex's public methods look up caches and send events, and call these. They do so
    # differently for texts and images, and cache a query's vector under a document's key. Here the
    # public methods are complete, and these call them.
    def _get_query_embedding(self, query: str) -> Vector:
        return self.get_query_embedding(query)

    async def _aget_query_embedding(self, query: str) -> Vector:
        return await self.aget_query_embedding(query)

    def _get_text_embedding(self, text: str) -> Vector:
        return self.get_text_embedding(text)

    async def _aget_text_embedding(self, text: str) -> Vector:
        return await self.aget_text_embedding(text)

    def _get_text_embeddings(self, texts: list[str]) -> list[Vector]:
        return self.get_text_embedding_batch(texts)

    def _get_image_embedding(self, img_file_path: ImageInput) -> Vector:
        return self.get_image_embedding(img_file_path)

    async def _aget_image_embedding(self, img_file_path: ImageInput) -> Vector:
        return await self.aget_image_embedding(img_file_path)


def _with_vectors(nodes: Sequence[BaseNode], vectors: list[Vector]) -> Sequence[BaseNode]:
    for node, vector in zip(nodes, vectors, strict=True):
        node.embedding = vector
    return nodes


def _mean(vectors: list[Vector]) -> Vector:
    if not vectors:
        raise OptionError(
            "found no query to embed. To search by an image, embed it first: "
            "QueryBundle(query, embedding=model.get_image_embedding(path))."
        )
    return direction_of_mean(np.asarray(vectors, np.float32)).tolist()


def _query(text: str, _store: PageStore, _budget: PixelBudget) -> MixedInput:
    return text  # what looks like a page reference is text here like any other


def _text(text: str, store: PageStore, _budget: PixelBudget) -> MixedInput:
    return text_item(text, store)


def _image(image: ImageInput, store: PageStore, budget: PixelBudget) -> MixedInput:
    return shrunk_page(image, store=store, budget=budget)
