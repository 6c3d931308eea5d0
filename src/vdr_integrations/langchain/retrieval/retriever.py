"""LangChain retriever of pages by late interaction."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias, TypedDict, Unpack

from langchain_core.retrievers import BaseRetriever
from pydantic import AfterValidator, Field, field_validator, model_validator

from vdr_integrations.defaults import DEFAULT_HITS
from vdr_integrations.errors import OptionError
from vdr_integrations.index.page_filter import parse_filter
from vdr_integrations.langchain.embedding.vdr_embeddings import VDREmbeddings
from vdr_integrations.langchain.encoder_model import configured
from vdr_integrations.langchain.retrieval.hit_documents import hit_document, page_of_document
from vdr_integrations.langchain.retrieval.late_interaction import IndexPlace, LateInteraction
from vdr_integrations.retrieval.encoder_choice import checked_dense

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.documents import Document

    from vdr_integrations.encoders import DenseEncoder
    from vdr_integrations.pages.page_inputs import ImageInput
    from vdr_integrations.retrieval import HeatMap, PageSearcher, SimilarityGrids
    from vdr_integrations.types import Hit

__all__ = ["ColQwen2Retriever"]


class SearchOptions(TypedDict, total=False):
    """What a call may choose instead of the retriever's own."""

    k: int | None
    filter: dict[str, Any] | None
    exhaustive: bool | None
    candidates: int | None


def _dense(found: object) -> object:
    return found if isinstance(found, VDREmbeddings) else checked_dense(found)


if TYPE_CHECKING:
    RecallArgument: TypeAlias = VDREmbeddings | DenseEncoder
else:  # checked when one is given: importing the class imports torch
    RecallArgument = Annotated[Any, AfterValidator(_dense)]


class ColQwen2Retriever(LateInteraction, BaseRetriever):
    """Finds pages of a ``LateInteractionIndex``: every token of a question looks for its match.

    Documents are readable: ``page_content`` is the text layer of the page, or a sentence that
    names it where there is none. ``id`` is the page's, the same when it is indexed again.
    ``metadata`` is what was indexed with it, and

        source       the document, as it was indexed
        file_name
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

    index: IndexPlace
    """The folder of an index, a ``QdrantServer``, or an open index."""

    k: int = Field(default=DEFAULT_HITS, ge=1)
    """At most this many documents."""

    filter: dict[str, Any] | None = None
    """Only pages that fit: ``{"source": ..., "page_number": ..., "metadata": {...}}``, see
    ``vdr_integrations.index.late_interaction_index.PageFilter``."""

    exhaustive: bool = False
    """Compare every page, however many there are."""

    candidates: int | None = Field(default=None, ge=1)
    """Number of pages that the first stage of a search selects; None: enough for ``k``."""

    recall: RecallArgument | None = None
    """Use the dense vectors of the index to select candidates first: the ``VDREmbeddings`` or
    ``DenseEncoder`` that made them."""

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
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
        **options: Unpack[SearchOptions],
    ) -> list[Document]:
        return self._documents(self.searcher.search(query, **self._search_options(**options)))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002
        **options: Unpack[SearchOptions],
    ) -> list[Document]:
        hits = await self.searcher.asearch(query, **self._search_options(**options))
        return await asyncio.to_thread(self._documents, hits)

    def search_image(self, image: ImageInput, **options: Unpack[SearchOptions]) -> list[Document]:
        """Pages that look like an image: a path, bytes, ``data:`` URI, PIL image, array, page.

        Args:
            image: Or the reference of a stored page; URLs are refused.
            **options: ``k``, ``filter``, ``exhaustive``, ``candidates``: instead of the
                retriever's.

        Raises:
            PageError: The image cannot be opened, or a reference does not resolve.
            VdrError: As ``PageSearcher.search_image``.
        """
        found = self.searcher.search_image(image, **self._search_options(**options))
        return self._documents(found)

    async def asearch_image(
        self, image: ImageInput, **options: Unpack[SearchOptions]
    ) -> list[Document]:
        """:meth:`search_image` without blocking the event loop."""
        hits = await self.searcher.asearch_image(image, **self._search_options(**options))
        return await asyncio.to_thread(self._documents, hits)

    def similarity_grids(self, query: str, document: Document) -> SimilarityGrids:
        """Where on a page each token of a question matches: what heat maps show.

        Raises:
            OptionError: The document is not a page.
            PageReferenceError: The page has to be encoded, and its image is not available.
        """
        return self.searcher.grids(query, page_of_document(document))

    async def asimilarity_grids(self, query: str, document: Document) -> SimilarityGrids:
        """:meth:`similarity_grids` without blocking the event loop."""
        return await asyncio.to_thread(self.similarity_grids, query, document)

    def heatmap(self, query: str, document: Document) -> HeatMap:
        """:meth:`similarity_grids` drawn over the page: which words match where.

        Raises:
            OptionError: The document is not a page.
            PageReferenceError: The page's image is not available.
        """
        return self.searcher.heatmap(query, page_of_document(document))

    async def aheatmap(self, query: str, document: Document) -> HeatMap:
        """:meth:`heatmap` without blocking the event loop."""
        return await asyncio.to_thread(self.heatmap, query, document)

    @property
    def searcher(self) -> PageSearcher:
        """What finds, shows and explains the pages; framework-free."""
        recall = self.recall
        chosen = recall.encoder_options if isinstance(recall, VDREmbeddings) else recall
        return self._searcher_over(self.index, self.model, chosen)

    def _documents(self, hits: Sequence[Hit]) -> list[Document]:
        self.searcher.pictures.keep(hits)
        return [hit_document(hit) for hit in hits]

    def _search_options(
        self,
        *,
        k: int | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002  # what LangChain calls it
        exhaustive: bool | None = None,
        candidates: int | None = None,
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
