"""LangChain compressor that orders found pages by their MaxSim scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import Field

from vdr_integrations.defaults import DEFAULT_HITS
from vdr_integrations.langchain.encoder_model import STRICT_CONFIG
from vdr_integrations.langchain.retrieval.hit_documents import SCORE_KEY, checked_page
from vdr_integrations.langchain.retrieval.late_interaction import IndexPlace, LateInteraction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import Callbacks

    from vdr_integrations.retrieval import RankedPage

__all__ = ["ColQwen2Compressor", "LateInteractionCompressor"]


class LateInteractionCompressor(LateInteraction, BaseDocumentCompressor):
    """Reranks pages of any search: by dense vectors, by words, or in another index.

        ContextualCompressionRetriever(
            base_retriever=store.as_retriever(search_kwargs={"k": 50}),
            base_compressor=LateInteractionCompressor(index="my-index", top_n=5),
        )

    Documents must be pages: of :class:`PDFPageLoader` through any vector store, or of
    :class:`LateInteractionRetriever`. They are scored as in ``PageSearcher.rerank``: by the vectors
    of the index, or by encoding the images that it does not hold. Texts are refused, because they
    cannot be compared with pages.

    The results are copies with ``metadata["relevance_score"]``, the MaxSim score, best first;
    documents with equal scores stay in order.
    """

    model_config = STRICT_CONFIG

    index: IndexPlace | None = Field(default=None, exclude=True)
    """As in :class:`LateInteractionRetriever`; None: all pages are encoded."""

    top_n: int | None = Field(default=DEFAULT_HITS, ge=1)
    """Maximum number of documents; None: all of them, in the new order."""

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002  # nothing here reports events
    ) -> list[Document]:
        """The best documents, best first, as copies.

        Raises:
            OptionError: A document is not a page.
            VdrError: See ``PageSearcher.rerank``.
        """
        pages = [checked_page(document) for document in documents]
        return _reranked(documents, self.searcher.rerank(query, pages, top_n=self.top_n))

    async def acompress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002
    ) -> list[Document]:
        """:meth:`compress_documents` without blocking the event loop."""
        pages = [checked_page(document) for document in documents]
        ranked = await self.searcher.arerank(query, pages, top_n=self.top_n)
        return _reranked(documents, ranked)


ColQwen2Compressor = LateInteractionCompressor
"""The name of earlier examples; what was pickled under it loads."""


def _reranked(documents: Sequence[Document], ranked: Sequence[RankedPage]) -> list[Document]:
    return [
        documents[place].model_copy(
            update={"metadata": {**documents[place].metadata, SCORE_KEY: score}}
        )
        for place, score in ranked
    ]
