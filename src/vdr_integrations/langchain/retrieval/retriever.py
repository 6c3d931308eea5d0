"""LangChain retriever of pages by late interaction."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias, TypedDict, Unpack

from langchain_core.retrievers import BaseRetriever
from pydantic import AfterValidator, Field, InstanceOf, StrictBool, field_validator, model_validator

from vdr_integrations.defaults import DEFAULT_HITS
from vdr_integrations.errors import OptionError
from vdr_integrations.index.hybrid import Hybrid  # noqa: TC001  # pydantic reads it
from vdr_integrations.index.page_filter import parse_filter
from vdr_integrations.langchain.embedding.vdr_embeddings import VDREmbeddings
from vdr_integrations.langchain.encoder_model import STRICT_CONFIG
from vdr_integrations.langchain.retrieval.hit_documents import checked_page, hit_document
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

__all__ = ["ColQwen2Retriever", "LateInteractionRetriever"]


class SearchOptions(TypedDict, total=False):
    """Options of one search, instead of those of the retriever."""

    k: int | None
    filter: dict[str, Any] | None
    exhaustive: bool | None
    candidates: int | None
    correction: float | None
    hybrid: bool | Hybrid | None
    with_scores: bool | None


def _checked_recall(found: object) -> object:
    return found if isinstance(found, VDREmbeddings) else checked_dense(found)


if TYPE_CHECKING:
    RecallArgument: TypeAlias = VDREmbeddings | DenseEncoder
else:  # checked only if one is given, because importing the class imports torch
    RecallArgument = Annotated[Any, AfterValidator(_checked_recall)]


class LateInteractionRetriever(LateInteraction, BaseRetriever):
    """Finds pages by late interaction: each token of a question is compared with all of a page.

    Documents are those of :class:`PDFPageLoader`, with the metadata of the index beside theirs: the
    same page, found here or in a vector store, is an equal document. Its ``page_content`` is the
    reference of its image. :func:`page_texts` puts the text layer there, for what reads text;
    :func:`page_blocks` shows the images to a chat model. To let ``EnsembleRetriever`` tell pages
    with equal images apart, give it ``id_key="page_id"``.

    Images that the page store does not hold are drawn again from the indexed files, if these have
    not changed. Index and model are opened and loaded on first use.

    ``k``, ``filter``, ``exhaustive``, ``candidates``, ``correction``, ``hybrid`` and
    ``with_scores`` may also be given to ``invoke``, instead of those of the retriever; other
    options there are an error. Any number of threads and tasks may call one object.

    Example:
        >>> retriever = LateInteractionRetriever(index="my-index", k=3)  # doctest: +SKIP
        >>> retriever.invoke("How did revenue change?")  # doctest: +SKIP
    """

    model_config = STRICT_CONFIG

    index: IndexPlace = Field(exclude=True)
    """An open index, its folder, a ``QdrantServer``, or ``"http://host:6333/collection"``."""

    k: int = Field(default=DEFAULT_HITS, ge=1)
    """Maximum number of documents."""

    filter: dict[str, Any] | None = None
    """Only pages that fit: ``{"source": ..., "file_name": ..., "page_number": ..., "metadata":
    {...}}``, see ``vdr_integrations.index.late_interaction_index.PageFilter``."""

    exhaustive: bool = False
    """Compare all pages one by one."""

    candidates: int | None = Field(default=None, ge=1)
    """Number of pages that the first stage of a search selects, at least ``k``; None selects a
    number."""

    correction: float | None = Field(default=None, ge=0.0, le=2.0)
    """Share of what a page gets from any question that is subtracted from its score; None: as in
    the index, see ``SearchOptions``."""

    hybrid: StrictBool | InstanceOf[Hybrid] = False
    """Let the words of the question count too, by BM25 over the text layers of pages; a ``Hybrid``
    says with which weights."""

    with_scores: bool = False
    """Put the score into ``metadata["relevance_score"]``: higher is better; ``Hit.score_kind`` says
    what it is. Pages that several questions find are then not equal any more."""

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
        hits = self.searcher.search(query, **self._search_options(**options))
        return self._documents(hits, **options)

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002
        **options: Unpack[SearchOptions],
    ) -> list[Document]:
        hits = await self.searcher.asearch(query, **self._search_options(**options))
        return await asyncio.to_thread(self._documents, hits, **options)

    def search_image(
        self, image: ImageInput, *, text: str | None = None, **options: Unpack[SearchOptions]
    ) -> list[Document]:
        """The pages most similar to an image; see ``PageSearcher.search_image``."""
        hits = self.searcher.search_image(image, text=text, **self._search_options(**options))
        return self._documents(hits, **options)

    async def asearch_image(
        self, image: ImageInput, *, text: str | None = None, **options: Unpack[SearchOptions]
    ) -> list[Document]:
        """:meth:`search_image` without blocking the event loop."""
        chosen = self._search_options(**options)
        hits = await self.searcher.asearch_image(image, text=text, **chosen)
        return await asyncio.to_thread(self._documents, hits, **options)

    def similarity_grids(self, query: str, document: Document) -> SimilarityGrids:
        """Where on a page each token of a question matches; see ``PageSearcher.grids``."""
        return self.searcher.grids(query, checked_page(document))

    async def asimilarity_grids(self, query: str, document: Document) -> SimilarityGrids:
        """:meth:`similarity_grids` without blocking the event loop."""
        return await asyncio.to_thread(self.similarity_grids, query, document)

    def heatmap(self, query: str, document: Document) -> HeatMap:
        """:meth:`similarity_grids` drawn over the page; see ``PageSearcher.heatmap``."""
        return self.searcher.heatmap(query, checked_page(document))

    async def aheatmap(self, query: str, document: Document) -> HeatMap:
        """:meth:`heatmap` without blocking the event loop."""
        return await asyncio.to_thread(self.heatmap, query, document)

    @property
    def searcher(self) -> PageSearcher:
        """The object that does the work, without LangChain."""
        recall = self.recall
        chosen = recall.encoder_options if isinstance(recall, VDREmbeddings) else recall
        return self._searcher_over(self.index, self.model, chosen)

    def _documents(self, hits: Sequence[Hit], **options: Unpack[SearchOptions]) -> list[Document]:
        self.searcher.pictures.keep(hits)
        chosen = options.get("with_scores")
        with_score = self.with_scores if chosen is None else chosen
        return [hit_document(hit, with_score=with_score) for hit in hits]

    def _search_options(
        self,
        *,
        k: int | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangChain's name
        exhaustive: bool | None = None,
        candidates: int | None = None,
        correction: float | None = None,
        hybrid: bool | Hybrid | None = None,
        with_scores: bool | None = None,  # noqa: ARG002  # of documents, not of the search
    ) -> dict[str, Any]:
        chosen = self.exhaustive if exhaustive is None else exhaustive
        if candidates is None and not chosen:
            candidates = self.candidates
        return {
            "k": self.k if k is None else k,
            "filter": self.filter if filter is None else filter,
            "exhaustive": chosen,
            "candidates": candidates,
            "correction": self.correction if correction is None else correction,
            "hybrid": self.hybrid if hybrid is None else hybrid,
        }


ColQwen2Retriever = LateInteractionRetriever
"""The name of earlier examples; what was pickled under it loads."""
