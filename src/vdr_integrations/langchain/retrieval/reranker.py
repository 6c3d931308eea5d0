"""LangChain compressor that puts found pages in the order of their MaxSim scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import Field

from vdr_integrations.defaults import DEFAULT_HITS
from vdr_integrations.langchain.encoder_model import configured
from vdr_integrations.langchain.retrieval.hit_documents import page_of_document
from vdr_integrations.langchain.retrieval.late_interaction import IndexPlace, LateInteraction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import Callbacks

    from vdr_integrations.retrieval import RankedPage

__all__ = ["ColQwen2Compressor"]


class ColQwen2Compressor(LateInteraction, BaseDocumentCompressor):
    """Reranks pages that anything found: dense vectors, words, another index.

        ContextualCompressionRetriever(
            base_retriever=store.as_retriever(search_kwargs={"k": 50}),
            base_compressor=ColQwen2Compressor(index="my-index", top_n=5),
        )

    Documents are pages: of :class:`PDFPageLoader` through any vector store, or of
    :class:`ColQwen2Retriever`. A page that the index holds, pixel for pixel, is scored by its
    stored vectors; the others are encoded from the page store, in one batch, and compared as if
    the index held them.

    What comes back are copies with ``metadata["relevance_score"]``, the MaxSim score, best first;
    equal scores stay in the order they came in. Texts are refused: nothing says how they compare
    with pages.
    """

    model_config = configured

    index: IndexPlace | None = None
    """The folder of an index, a ``QdrantServer``, or an open index; None: all pages are encoded."""

    top_n: int | None = Field(default=DEFAULT_HITS, ge=1)
    """At most this many documents; None: all of them, reordered."""

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002  # nothing here reports events
    ) -> list[Document]:
        """The best documents, best first, as copies.

        Raises:
            OptionError: A document is not a page.
            PageReferenceError: A page is not in the index, and its image is not available.
            IndexStoreError: The index cannot be used, or was made by another model.
            CheckpointError: The model cannot be loaded.
            EncodingError: The model could not give vectors.
        """
        pages = [page_of_document(document) for document in documents]
        return _reranked(documents, self.searcher.rerank(query, pages, top_n=self.top_n))

    async def acompress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002
    ) -> list[Document]:
        """:meth:`compress_documents` without blocking the event loop."""
        pages = [page_of_document(document) for document in documents]
        ranked = await self.searcher.arerank(query, pages, top_n=self.top_n)
        return _reranked(documents, ranked)


def _reranked(documents: Sequence[Document], ranked: Sequence[RankedPage]) -> list[Document]:
    return [
        documents[place].model_copy(
            update={"metadata": {**documents[place].metadata, "relevance_score": score}}
        )
        for place, score in ranked
    ]
