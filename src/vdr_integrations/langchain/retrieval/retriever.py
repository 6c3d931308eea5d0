"""LangChain retriever of pages by late interaction."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from langchain_core.retrievers import BaseRetriever
from pydantic import Field, field_validator, model_validator

from vdr_integrations.errors import OptionError
from vdr_integrations.index import HeatMap, SimilarityGrids, similarity_grids
from vdr_integrations.index.page_filter import parse_filter
from vdr_integrations.index.page_pictures import keep_pictures
from vdr_integrations.langchain.embedding.page_inputs import ImageInput, image_pages
from vdr_integrations.langchain.retrieval.dense_recall import RecallArgument, recall_encoder
from vdr_integrations.langchain.retrieval.found_pages import hit_document, page_ref_of
from vdr_integrations.langchain.retrieval.late_interaction import LateInteraction, configured
from vdr_integrations.langchain.retrieval.open_indexes import IndexLocation  # noqa: TC001  # pydantic reads it
from vdr_integrations.langchain.retrieval.page_vectors import page_vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.documents import Document

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.index import LateInteractionIndex
    from vdr_integrations.types import Hit

__all__ = ["ColQwen2Retriever"]


class ColQwen2Retriever(LateInteraction, BaseRetriever):
    """Finds pages of a ``LateInteractionIndex``: every token of a question looks for its match.

    Documents are readable: ``page_content`` is the text layer of the page, or a sentence that
    names it where there is none. ``id`` is the page's, the same when it is indexed again.
    ``metadata`` is what was indexed with it, and

        source       the document, as it was indexed
        page         0-based, as in LangChain's own PDF loaders
        page_number  1-based
        page_label   what is printed on the page ("iv"), or the number as text
        total_pages
        page_ref     reference of the picture: :func:`page_blocks` shows it to a chat model
        score        by MaxSim; higher is better, at most the number of query tokens

    Pictures that the page store does not hold are drawn again from the files that were indexed,
    as far as those still show the same. Model and index are loaded on first use.

    ``k``, ``filter``, ``exhaustive`` and ``candidates`` may be given to ``invoke`` too, where they
    take the place of the retriever's; anything else there is an error. Any number of threads and
    tasks may call one object.

    Example:
        >>> retriever = ColQwen2Retriever(index="my-index", k=3)  # doctest: +SKIP
        >>> retriever.invoke("How did revenue change?")  # doctest: +SKIP
    """

    model_config = configured

    index: IndexLocation
    """The folder of an index, a ``QdrantServer``, or an open index. What is
    made in one process shares a folder's index until it is gone or closed."""

    k: int = Field(default=4, ge=1)
    """At most this many documents."""

    filter: dict[str, Any] | None = None
    """Only pages that fit: ``{"source": ..., "page_number": ..., "metadata": {...}}``, see
    ``vdr_integrations.index.late_interaction_index.PageFilter``."""

    exhaustive: bool = False
    """Compare every page, however many there are."""

    candidates: int | None = Field(default=None, ge=1)
    """Pages that the first stage of a search brings; None: enough for ``k``."""

    recall: RecallArgument | None = None
    """Bring candidates by the dense vectors of the index: ``VDREmbeddings`` or ``DenseEncoder``
    that made them."""

    @field_validator("filter")
    @classmethod
    def _is_a_filter(cls, given: dict[str, Any] | None) -> dict[str, Any] | None:
        parse_filter(given)
        return given

    @model_validator(mode="after")
    def _stages_agree(self) -> Self:
        if self.exhaustive and (self.candidates is not None or self.recall is not None):
            raise OptionError(
                "an exhaustive search has no first stage; leave candidates and recall out."
            )
        return self

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002  # what LangChain calls it
        exhaustive: bool | None = None,
        candidates: int | None = None,
    ) -> list[Document]:
        del run_manager
        options = self._search_options(k, filter, exhaustive, candidates)
        index, encoder, dense = self._parts(with_recall=not options["exhaustive"])
        matrix = encoder.encode_queries([query])[0]
        if dense is not None:
            options["dense_query"] = dense.encode_queries([query])[0]
        return self._documents(index.search(matrix, **options), encoder)

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002
        exhaustive: bool | None = None,
        candidates: int | None = None,
    ) -> list[Document]:
        del run_manager
        options = self._search_options(k, filter, exhaustive, candidates)
        index, encoder, dense = await asyncio.to_thread(
            self._parts, with_recall=not options["exhaustive"]
        )
        matrix = (await encoder.aencode_queries([query]))[0]
        if dense is not None:
            options["dense_query"] = (await dense.aencode_queries([query]))[0]
        hits = await index.asearch(matrix, **options)
        return await asyncio.to_thread(self._documents, hits, encoder)

    def search_image(
        self,
        image: ImageInput,
        *,
        k: int | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002
        exhaustive: bool | None = None,
        candidates: int | None = None,
    ) -> list[Document]:
        """Pages that look like an image: a path, bytes, ``data:`` URI, PIL image, array, page.

        Args:
            image: Or the reference of a stored page; URLs are refused.
            k: These and the rest take the place of the retriever's.
            filter: See the class.
            exhaustive: See the class.
            candidates: See the class.

        Raises:
            PageError: The image cannot be opened, or a reference does not resolve.
            IndexStoreError: The index cannot be used, or was made by another model.
            CheckpointError: The model cannot be loaded.
            EncodingError: The model could not give vectors.
        """
        options = self._search_options(k, filter, exhaustive, candidates)
        index, encoder, dense = self._parts(with_recall=not options["exhaustive"])
        pages = image_pages([image], store=self._page_store())
        matrix = encoder.encode_pages(pages)[0]
        if dense is not None:
            options["dense_query"] = dense.encode_pages(pages)[0]
        return self._documents(index.search(matrix, **options), encoder)

    async def asearch_image(
        self,
        image: ImageInput,
        *,
        k: int | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002
        exhaustive: bool | None = None,
        candidates: int | None = None,
    ) -> list[Document]:
        """:meth:`search_image` without blocking the event loop."""
        options = self._search_options(k, filter, exhaustive, candidates)
        index, encoder, dense = await asyncio.to_thread(
            self._parts, with_recall=not options["exhaustive"]
        )
        pages = await asyncio.to_thread(image_pages, [image], store=self._page_store())
        matrix = (await encoder.aencode_pages(pages))[0]
        if dense is not None:
            options["dense_query"] = (await dense.aencode_pages(pages))[0]
        hits = await index.asearch(matrix, **options)
        return await asyncio.to_thread(self._documents, hits, encoder)

    def similarity_grids(self, query: str, document: Document) -> SimilarityGrids:
        """Where on a page each token of a question matches: what heat maps show.

        Stored vectors are used; where tokens were pooled, the page is encoded from the page store.

        Args:
            query: The question.
            document: A page.

        Raises:
            OptionError: The document is not a page.
            PageReferenceError: The page has to be encoded, and its picture is not stored.
        """
        index, encoder, _ = self._parts(with_recall=False)
        matrix = encoder.encode_queries([query])[0]
        vectors, grid = page_vectors(
            document, index=index, encoder=encoder, store=self._page_store()
        )
        tokens = tuple(encoder.query_tokens(query))
        return SimilarityGrids(tokens, similarity_grids(matrix, vectors, grid))

    async def asimilarity_grids(self, query: str, document: Document) -> SimilarityGrids:
        """:meth:`similarity_grids` without blocking the event loop."""
        return await asyncio.to_thread(self.similarity_grids, query, document)

    def heatmap(self, query: str, document: Document) -> HeatMap:
        """:meth:`similarity_grids` drawn over the page: which words match where.

        Args:
            query: The question.
            document: A page, whose picture is in the page store, as that of every hit is.

        Raises:
            OptionError: The document is not a page.
            PageReferenceError: Its picture is not stored.
        """
        page = self._page_store().get(page_ref_of(document))
        grids = self.similarity_grids(query, document)
        prompt = self._parts(with_recall=False)[1].checkpoint.query_prompt
        found = document.metadata
        label = f"{found.get('source', 'page')} page {found.get('page_number', '')}".strip()
        return HeatMap(grids, page, prompt=prompt, label=label)

    async def aheatmap(self, query: str, document: Document) -> HeatMap:
        """:meth:`heatmap` without blocking the event loop."""
        return await asyncio.to_thread(self.heatmap, query, document)

    def _parts(
        self, *, with_recall: bool
    ) -> tuple[LateInteractionIndex, MultiVectorEncoder, DenseEncoder | None]:
        """What a search runs on; no dense encoder where no dense vectors are asked."""
        index = self._indexes.get(self.index)
        encoder = self._encoder_of(index.manifest)
        index.manifest.check(encoder, index_path=index.path)
        if self.recall is None or not with_recall:
            return index, encoder, None
        return index, encoder, recall_encoder(self.recall, index)

    def _documents(self, hits: Sequence[Hit], encoder: MultiVectorEncoder) -> list[Document]:
        keep_pictures(hits, store=self._page_store(), budget=encoder.pixel_budget)
        return [hit_document(hit) for hit in hits]

    def _search_options(
        self,
        k: int | None,
        filter: dict[str, Any] | None,  # noqa: A002
        exhaustive: bool | None,  # noqa: FBT001  # of this class
        candidates: int | None,
    ) -> dict[str, Any]:
        chosen = self.exhaustive if exhaustive is None else exhaustive
        if candidates is None and not chosen:
            candidates = self.candidates
        return {
            "k": self.k if k is None else k,
            "filter": self.filter if filter is None else filter,
            "exhaustive": chosen,
            "candidates": candidates,
        }
