"""LangChain compressor that puts found pages in the order of their MaxSim scores."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import Field

from vdr_integrations.index import maxsim_score
from vdr_integrations.index.scoring.token_pooling import pool_visual_tokens
from vdr_integrations.langchain.embedding.page_inputs import image_pages
from vdr_integrations.langchain.retrieval.found_pages import page_ref_of, possible_page_ids
from vdr_integrations.langchain.retrieval.late_interaction import LateInteraction, configured
from vdr_integrations.langchain.retrieval.open_indexes import IndexLocation  # noqa: TC001  # pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from langchain_core.callbacks import Callbacks
    from numpy.typing import NDArray

    from vdr_integrations.encoders import MultiVectorEncoder
    from vdr_integrations.index import LateInteractionIndex
    from vdr_integrations.types import Page, PageRef

__all__ = ["ColQwen2Compressor"]

_SCORE_DECIMALS = 5  # as an index rounds: finer differences are noise


class ColQwen2Compressor(LateInteraction, BaseDocumentCompressor):
    """Reranks pages that anything found: dense vectors, words, another index.

        ContextualCompressionRetriever(
            base_retriever=store.as_retriever(search_kwargs={"k": 50}),
            base_compressor=ColQwen2Compressor(index="my-index", top_n=5),
        )

    Documents are pages: of :class:`PDFPageLoader` through any vector store, or of
    :class:`ColQwen2Retriever`. A page that the index holds, pixel for pixel, is scored by its
    stored vectors; the others are encoded from the page store, in one batch. Their vectors are
    rounded and pooled as the index does it, so that all scores compare.

    What comes back are copies with ``metadata["relevance_score"]``, the MaxSim score, best first;
    equal scores stay in the order they came in. Texts are refused: nothing says how they compare
    with pages.
    """

    model_config = configured

    index: IndexLocation | None = None
    """The folder of an index, a ``QdrantServer``, or an open index; None: all pages are encoded."""

    top_n: int | None = Field(default=3, ge=1)
    """At most this many documents; None: all of them, reordered."""

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,
    ) -> list[Document]:
        """The best documents, best first, as copies.

        Args:
            documents: Pages, in any order.
            query: The question.
            callbacks: Not used: nothing here reports events.

        Raises:
            OptionError: A document is not a page.
            PageReferenceError: A page is neither in the index nor in the page store.
            IndexStoreError: The index cannot be used, or was made by another model.
            CheckpointError: The model cannot be loaded.
            EncodingError: The model could not give vectors.
        """
        del callbacks
        refs = [page_ref_of(document) for document in documents]
        if not refs:
            return []
        index, encoder = self._parts()
        matrix = encoder.encode_queries([query])[0]
        scores = _stored_scores(index, documents, refs, matrix)
        missing = self._missing(refs, scores)
        vectors = encoder.encode_pages(missing.values()) if missing else []
        kept = self._as_kept(index, encoder, list(missing), vectors)
        return self._best(documents, refs, scores | _fresh_scores(matrix, kept))

    async def acompress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,
    ) -> list[Document]:
        """:meth:`compress_documents` without blocking the event loop."""
        del callbacks
        refs = [page_ref_of(document) for document in documents]
        if not refs:
            return []
        index, encoder = await asyncio.to_thread(self._parts)
        matrix = (await encoder.aencode_queries([query]))[0]
        scores = await asyncio.to_thread(_stored_scores, index, documents, refs, matrix)
        missing = await asyncio.to_thread(self._missing, refs, scores)
        vectors = await encoder.aencode_pages(missing.values()) if missing else []
        kept = await asyncio.to_thread(self._as_kept, index, encoder, list(missing), vectors)
        return self._best(documents, refs, scores | _fresh_scores(matrix, kept))

    def _parts(self) -> tuple[LateInteractionIndex | None, MultiVectorEncoder]:
        if self.index is None:
            return None, self._encoder_of(None)
        index = self._indexes.get(self.index)
        encoder = self._encoder_of(index.manifest)
        index.manifest.check(encoder, index_path=index.path)
        return index, encoder

    def _missing(self, refs: Sequence[PageRef], known: Container[PageRef]) -> dict[PageRef, Page]:
        missing = list(dict.fromkeys(ref for ref in refs if ref not in known))
        pages = image_pages(missing, store=self._page_store())
        return dict(zip(missing, pages, strict=True))

    def _as_kept(
        self,
        index: LateInteractionIndex | None,
        encoder: MultiVectorEncoder,
        refs: Sequence[PageRef],
        vectors: Sequence[NDArray[np.float32]],
    ) -> dict[PageRef, NDArray[np.float32]]:
        """The vectors of pages as the index would keep them."""
        fresh = dict(zip(refs, vectors, strict=True))
        if index is None:
            return fresh
        factor = index.compression.token_pooling
        if factor > 1:
            store = self._page_store()
            images = {ref: store.get(ref) for ref in refs}
            grids = {ref: encoder.page_layout(im.height, im.width) for ref, im in images.items()}
            fresh = {
                ref: pool_visual_tokens(matrix, grids[ref], factor=factor)
                for ref, matrix in fresh.items()
            }
        stored = np.dtype(index.compression.vectors)
        return {ref: kept.astype(stored).astype(np.float32) for ref, kept in fresh.items()}

    def _best(
        self,
        documents: Sequence[Document],
        refs: Sequence[PageRef],
        scores: Mapping[PageRef, float],
    ) -> list[Document]:
        scored = [(scores[ref], document) for ref, document in zip(refs, documents, strict=True)]
        scored.sort(key=lambda pair: -pair[0])
        return [
            document.model_copy(
                update={"metadata": {**document.metadata, "relevance_score": score}}
            )
            for score, document in scored[: self.top_n]
        ]


def _fresh_scores(
    query: NDArray[np.float32], pages: Mapping[PageRef, NDArray[np.float32]]
) -> dict[PageRef, float]:
    return {
        ref: round(maxsim_score(query, page), _SCORE_DECIMALS) + 0.0 for ref, page in pages.items()
    }


def _stored_scores(
    index: LateInteractionIndex | None,
    documents: Sequence[Document],
    refs: Sequence[PageRef],
    query: NDArray[np.float32],
) -> dict[PageRef, float]:
    """Scores of the pages that the index holds as they are now."""
    if index is None:
        return {}
    ids = {name for document in documents for name in possible_page_ids(document)}
    scores = {hit.page_ref: hit.score for hit in index.rerank(query, sorted(ids))}
    return {ref: scores[str(ref)] for ref in refs if str(ref) in scores}
