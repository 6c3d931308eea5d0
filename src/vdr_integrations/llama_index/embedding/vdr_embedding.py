"""LlamaIndex embedding that sees pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from llama_index.core.embeddings import MultiModalEmbedding
from pydantic import ConfigDict, Field

from vdr_integrations.defaults import DEFAULT_DENSE_MODEL
from vdr_integrations.encoders.preprocessing.text_check import check_texts
from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index.embedding.batch_embedder import BatchEmbedder
from vdr_integrations.llama_index.embedding.node_items import (
    image_item,
    node_item,
    query_item,
    text_item,
)
from vdr_integrations.retrieval.encoder_fields import DenseFields
from vdr_integrations.retrieval.question import direction_of_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llama_index.core.schema import BaseNode

    from vdr_integrations.encoders import EncoderOptions
    from vdr_integrations.llama_index.embedding.batch_embedder import ToItem
    from vdr_integrations.pages.page_inputs import ImageInput

__all__ = ["VDREmbedding"]

Vector = list[float]
_Source = TypeVar("_Source")


class VDREmbedding(DenseFields, MultiModalEmbedding):
    """Embedding of page images and of questions about them, in one vector space.

    LlamaIndex gives an embedder only strings. A string that is exactly a page reference
    (``vdr-page:<sha256>``, the EMBED content of the nodes of :class:`PDFPageNodeParser`) is
    embedded as that page's image; any other string as text. Document text is never read as a path
    or URL, and a query is always text. As a transformation of an index or pipeline it embeds the
    image of every node that has one.

    The model is loaded on first use, once per process for any number of objects. Any number of
    threads and tasks may call one object. Copies, pickles and ``to_dict`` hold options, never
    weights; only copies hold the token. With a GPU, do not use
    ``IngestionPipeline.run(num_workers=...)``: each worker process would load the model again.

    All vectors are lists of Python floats, L2-normalised, of length :attr:`dimension`. Methods
    raise CheckpointError if the model cannot be loaded, EncodingError if it computes no vector,
    PageError if an image cannot be opened (URLs are never opened), and OptionError for an empty
    text or half a surrogate pair.

    Attributes:
        model_name: Hub id, local folder, or ``"nano"``, the small checkpoint in this package.
        embed_batch_size: Number of texts or pages that the encoder gets at a time; their visual
            tokens decide how many of them go through the model at once.
        num_workers: Number of batches that an async call processes at a time; None means 2.
        embeddings_cache: Key-value store for vectors of texts and pages. The encoder and the
            content are the key, so one store may serve several models.

    See ``DenseFields`` for the other options: ``dimension``, ``device``, ``dtype``,
    ``max_visual_tokens``, ``page_store_path`` ...

    Example:
        >>> model = VDREmbedding(model_name="nano")
        >>> len(model.get_query_embedding("How did revenue change?"))
        512
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    model_name: str = Field(default=DEFAULT_DENSE_MODEL, min_length=1)
    embed_batch_size: int = Field(default=32, gt=0, le=2048)
    num_workers: int | None = Field(default=None, ge=1)
    # Not in to_dict, which LlamaIndex logs, saves and hashes.
    embeddings_cache: Any | None = Field(default=None, exclude=True)

    @classmethod
    def class_name(cls) -> str:
        """``"VDREmbedding"``."""
        return "VDREmbedding"

    @property
    def encoder_options(self) -> EncoderOptions:
        """The options that the encoder is loaded with."""
        return self._encoder_options(self.model_name, self.max_visual_tokens, self.dimension)

    def get_query_embedding(self, query: str) -> Vector:
        """Vector of a question, which is text even if it looks like a page reference."""
        return self._embed(check_texts([query]), query_item)[0]

    async def aget_query_embedding(self, query: str) -> Vector:
        """:meth:`get_query_embedding` without blocking the event loop."""
        return (await self._aembed(check_texts([query]), query_item))[0]

    def get_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Vector] | None = None
    ) -> Vector:
        """One vector of several questions: their normalised mean, or the result of ``agg_fn``."""
        return (agg_fn or _mean)(self._embed(check_texts(queries), query_item))

    async def aget_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Vector] | None = None
    ) -> Vector:
        """:meth:`get_agg_embedding_from_queries` without blocking the event loop."""
        return (agg_fn or _mean)(await self._aembed(check_texts(queries), query_item))

    def get_text_embedding(self, text: str) -> Vector:
        """Vector of the page, if ``text`` is exactly its reference; else of the text itself."""
        return self._embed(check_texts([text]), text_item)[0]

    async def aget_text_embedding(self, text: str) -> Vector:
        """:meth:`get_text_embedding` without blocking the event loop."""
        return (await self._aembed(check_texts([text]), text_item))[0]

    def get_text_embedding_batch(
        self,
        texts: list[str],
        show_progress: bool = False,  # noqa: FBT001, FBT002  # LlamaIndex's signature
        **kwargs: Any,  # noqa: ANN401, ARG002  # LlamaIndex's signature
    ) -> list[Vector]:
        """Vectors of page references and texts, in order; see :meth:`get_text_embedding`."""
        return self._embed(check_texts(texts), text_item, show_progress=show_progress)

    async def aget_text_embedding_batch(
        self,
        texts: list[str],
        show_progress: bool = False,  # noqa: FBT001, FBT002
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> list[Vector]:
        """:meth:`get_text_embedding_batch` without blocking the event loop."""
        return await self._aembed(check_texts(texts), text_item, show_progress=show_progress)

    def get_image_embedding(self, img_file_path: ImageInput) -> Vector:
        """Vector of an image: a local path, bytes, PIL image, array, ``data:`` URI, reference."""
        return self._embed([img_file_path], image_item)[0]

    async def aget_image_embedding(self, img_file_path: ImageInput) -> Vector:
        """:meth:`get_image_embedding` without blocking the event loop."""
        return (await self._aembed([img_file_path], image_item))[0]

    def get_image_embedding_batch(
        self,
        img_file_paths: Sequence[ImageInput],
        show_progress: bool = False,  # noqa: FBT001, FBT002
    ) -> list[Vector]:
        """Vectors of images, in order; see :meth:`get_image_embedding`."""
        return self._embed(img_file_paths, image_item, show_progress=show_progress)

    async def aget_image_embedding_batch(
        self,
        img_file_paths: Sequence[ImageInput],
        show_progress: bool = False,  # noqa: FBT001, FBT002
    ) -> list[Vector]:
        """:meth:`get_image_embedding_batch` without blocking the event loop."""
        return await self._aembed(img_file_paths, image_item, show_progress=show_progress)

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:  # noqa: ANN401
        """Embed nodes in place: the image of a node that has one, else its EMBED text.

        Args:
            nodes: Nodes of any kind; a vector that a node already has is replaced.
            kwargs: ``show_progress``. LlamaIndex passes all options of the index to every
                transformation; the others are ignored.
        """
        progress = bool(kwargs.get("show_progress"))
        return _with_vectors(nodes, self._embed(nodes, node_item, show_progress=progress))

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:  # noqa: ANN401
        """:meth:`__call__` without blocking the event loop."""
        progress = bool(kwargs.get("show_progress"))
        return _with_vectors(nodes, await self._aembed(nodes, node_item, show_progress=progress))

    def _embed(
        self, sources: Sequence[_Source], to_item: ToItem[_Source], *, show_progress: bool = False
    ) -> list[Vector]:
        if not sources:
            return []
        embedder = BatchEmbedder(self, self._encoders.dense(self.encoder_options))
        return embedder.embed(sources, to_item, show_progress=show_progress)

    async def _aembed(
        self, sources: Sequence[_Source], to_item: ToItem[_Source], *, show_progress: bool = False
    ) -> list[Vector]:
        if not sources:
            return []
        embedder = BatchEmbedder(self, await self._encoders.adense(self.encoder_options))
        return await embedder.aembed(sources, to_item, show_progress=show_progress)

    # LlamaIndex's own public methods use the cache, send events, and call these methods. They treat
    # texts and images differently, and cache the vector of a query under the key of a document.
    # Here the public methods do everything, and these call them.
    def _get_query_embedding(self, query: str) -> Vector:
        return self.get_query_embedding(query)

    async def _aget_query_embedding(self, query: str) -> Vector:
        return await self.aget_query_embedding(query)

    def _get_text_embedding(self, text: str) -> Vector:
        return self.get_text_embedding(text)

    async def _aget_text_embedding(self, text: str) -> Vector:
        return await self.aget_text_embedding(text)

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
            "found no query to embed. To search with an image, embed it first: "
            "QueryBundle(query, embedding=model.get_image_embedding(path))."
        )
    return direction_of_mean(np.asarray(vectors, np.float32)).tolist()
