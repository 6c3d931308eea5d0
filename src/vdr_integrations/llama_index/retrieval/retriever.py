"""LlamaIndex retriever over a late-interaction index."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, Unpack

from vdr_integrations.encoders import PairedEncoder
from vdr_integrations.errors import OptionError
from vdr_integrations.index import LateInteractionIndex, Manifest
from vdr_integrations.index.sync.page_encoding import PageEncoding
from vdr_integrations.llama_index.retrieval.grids import node_grids, node_heatmap
from vdr_integrations.llama_index.retrieval.ingest import PageIngest
from vdr_integrations.llama_index.retrieval.queries import (
    Question,
    QuestionBundle,
    open_page,
    question_of,
)
from vdr_integrations.llama_index.retrieval.searching import PageSearch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle
    from numpy.typing import NDArray

    from vdr_integrations.index import Compression, HeatMap, SimilarityGrids
    from vdr_integrations.llama_index.embedding.items import ImageInput
    from vdr_integrations.llama_index.retrieval.options import RetrieverOptions
    from vdr_integrations.llama_index.retrieval.sources import IndexLocation

__all__ = ["ColQwen2Retriever"]


class ColQwen2Retriever(PageSearch):
    """Finds pages by late interaction: every token of a question looks for its best match.

    Hits are ``ImageNode`` s: id is the page's stable id in the index, text its citation and text
    layer, metadata ``source``, ``page_number``, ``page_label``, ``total_pages``, ``vdr_page`` and
    the caller's own. Scores are exact MaxSim sums over the query's tokens; they are not cosines.
    ``RetrieverQueryEngine.from_args(retriever, llm=..., multimodal=True)`` shows the pages to the
    language model: their images are taken from the page store, or drawn into it from the files.
    Together with a retriever over a stock index of the same pages in ``QueryFusionRetriever``,
    each page counts as one.

    A query is a text, several (``custom_embedding_strs``: their scores are added), or an image
    (``QueryBundle("", image_path=...)``: a path or page reference; text beside it is not searched
    for). The bundle is never changed, and a vector in it never used.

    Index and model are opened and loaded on first use. A folder can be open once only: give one
    open index to several objects. Copies share index and model, pickles hold neither.

    Example:
        >>> retriever = ColQwen2Retriever("my-index", similarity_top_k=1)  # doctest: +SKIP
        >>> (hit,) = retriever.retrieve("How did revenue change?")  # doctest: +SKIP
        >>> hit.metadata["page_label"]  # doctest: +SKIP
        'iv'
    """

    @classmethod
    def from_documents(
        cls,
        documents: Sequence[BaseNode],
        *,
        index: LateInteractionIndex | IndexLocation,
        compression: Compression | None = None,
        batch_pages: int | None = None,
        show_progress: bool = False,
        **options: Unpack[RetrieverOptions],
    ) -> Self:
        """A retriever over an index that holds these pages; see :meth:`add_nodes`.

        Args:
            documents: Documents of ``PDFPageReader``, or nodes of ``PDFPageNodeParser``.
            index: Open, or where it is or shall be; made where there is none.
            compression: Of an index that is made, see ``Compression``.
            batch_pages: See :meth:`add_nodes`.
            show_progress: A bar on stderr.
            options: Of the retriever. A new index is made with ``model_name``, by default
                ``vidore/colqwen2-v1.0``, and holds the dense vectors of ``recall`` too.

        Raises:
            OptionError: Another compression than that of the index, or see :meth:`add_nodes`.
        """
        retriever = cls(index, **options)
        opened = retriever._index.get(create=lambda: retriever._create(compression))
        if compression is not None and compression != opened.compression:
            raise OptionError(
                f"index {opened.path} was made with {opened.compression}, found {compression}; "
                f"leave compression out, or make another index."
            )
        retriever.add_nodes(documents, batch_pages=batch_pages, show_progress=show_progress)
        return retriever

    def retrieve_by_image(self, image: ImageInput) -> list[NodeWithScore]:
        """The pages most like an image: path, bytes, PIL image, array, reference or ``PageImage``.

        Raises:
            PageError: The image cannot be opened; URLs are refused too.
        """
        return self.retrieve(QuestionBundle(Question(page=open_page(image, self._store))))

    async def aretrieve_by_image(self, image: ImageInput) -> list[NodeWithScore]:
        """:meth:`retrieve_by_image` without blocking the event loop."""
        page = await asyncio.to_thread(open_page, image, self._store)
        return await self.aretrieve(QuestionBundle(Question(page=page)))

    def retrieve_by_vectors(self, query: NDArray[np.float32]) -> list[NodeWithScore]:
        """The pages that match token vectors best: float32 (tokens, dimension), rows of length 1.

        Raises:
            OptionError: Another shape or dtype, or a retriever with ``recall``.
            InvalidVectorError: NaN, infinity, or a vector not of length 1.
        """
        return self.retrieve(QuestionBundle(Question(vectors=query)))

    async def aretrieve_by_vectors(self, query: NDArray[np.float32]) -> list[NodeWithScore]:
        """:meth:`retrieve_by_vectors` without blocking the event loop."""
        return await self.aretrieve(QuestionBundle(Question(vectors=query)))

    def similarity_grids(self, query: str | QueryBundle, node: BaseNode) -> SimilarityGrids:
        """Where on a page the tokens of a question find their match, for heat maps.

        Args:
            query: A text, or a bundle of texts.
            node: A hit, or another node of a page.

        Raises:
            OptionError: An image query, or a node that is no page.
            PageReferenceError: The page has to be encoded again, and its image is not stored.
        """
        index, store = self._index.get(), self._store
        encoder = self._choice.load(self._handle, index)
        question = question_of(query, store)
        return node_grids(question, node, index=index, encoder=encoder, store=store)

    async def asimilarity_grids(self, query: str | QueryBundle, node: BaseNode) -> SimilarityGrids:
        """:meth:`similarity_grids` in a thread."""
        return await asyncio.to_thread(self.similarity_grids, query, node)

    def heatmap(self, query: str | QueryBundle, node: BaseNode) -> HeatMap:
        """:meth:`similarity_grids` drawn over the page: which words match where.

        Args:
            query: A text, or a bundle of texts.
            node: A hit, or another node of a page, whose image is in the page store.

        Raises:
            OptionError: An image query, or a node that is no page.
            PageReferenceError: The page's image is not stored.
        """
        index, store = self._index.get(), self._store
        encoder = self._choice.load(self._handle, index)
        question = question_of(query, store)
        return node_heatmap(question, node, index=index, encoder=encoder, store=store)

    async def aheatmap(self, query: str | QueryBundle, node: BaseNode) -> HeatMap:
        """:meth:`heatmap` in a thread."""
        return await asyncio.to_thread(self.heatmap, query, node)

    def add_nodes(
        self,
        nodes: Sequence[BaseNode],
        *,
        batch_pages: int | None = None,
        show_progress: bool = False,
    ) -> list[str]:
        """Put pages into the index, document by document; the same again does nothing.

        A page is known by its ``file_path`` and number: one with another image, text or metadata
        replaces it, and pages of its document that are not given stay. Node metadata must be
        JSON. ``index.remove_document`` and ``remove_pages`` take pages out.

        Args:
            nodes: Documents of ``PDFPageReader``, or nodes of ``PDFPageNodeParser``.
            batch_pages: Pages in memory at a time, at least 1; None for as many as the encoder
                takes in one batch, and 32 at least.
            show_progress: A bar on stderr.

        Returns:
            Page ids in the order of ``nodes``; those of hits.

        Raises:
            OptionError: A node that is no page, or ``batch_pages`` below 1.
            PageReferenceError: An image is not in the page store.
            IndexLockedError: Another writer was still at work after 30 seconds.
        """
        index = self._index.get()
        encoder = self._choice.load(self._handle, index)
        both = encoder
        if self._recall is not None:
            both = PairedEncoder(dense=self._recall.encoder(index), multi_vector=encoder)
        encoding = PageEncoding(both)
        ingest = PageIngest(
            index=index,
            encoding=encoding,
            store=self._store,
            batch_pages=encoding.batch_pages(batch_pages),
        )
        return ingest.add(nodes, show_progress=show_progress)

    async def aadd_nodes(
        self,
        nodes: Sequence[BaseNode],
        *,
        batch_pages: int | None = None,
        show_progress: bool = False,
    ) -> list[str]:
        """:meth:`add_nodes` in a thread."""
        return await asyncio.to_thread(
            self.add_nodes, nodes, batch_pages=batch_pages, show_progress=show_progress
        )

    def _create(self, compression: Compression | None) -> LateInteractionIndex:
        encoder = self._choice.load(self._handle, None)
        checkpoint = encoder.checkpoint
        return LateInteractionIndex.create(
            self._index.location,
            manifest=Manifest.of(
                encoder, model=self._choice.model_name, revision=self._choice.revision
            ),
            dense_manifest=None if self._recall is None else self._recall.manifest(),
            compression=compression,
            prompts={"page": checkpoint.page_prompt, "query": checkpoint.query_prompt},
        )
