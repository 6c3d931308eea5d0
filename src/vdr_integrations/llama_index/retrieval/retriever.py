"""LlamaIndex retriever over a late-interaction index."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, Unpack

from llama_index.core.base.base_retriever import BaseRetriever
from tqdm.auto import tqdm

from vdr_integrations.defaults import DEFAULT_HITS
from vdr_integrations.encoders.encoder_on_demand import EncoderArguments, EncoderOptions
from vdr_integrations.errors import OptionError
from vdr_integrations.index.hybrid import hybrid_weights
from vdr_integrations.index.page_filter import parse_filter
from vdr_integrations.index.question_bank import check_strength
from vdr_integrations.llama_index.embedding.vdr_embedding import VDREmbedding
from vdr_integrations.llama_index.retrieval.metadata_filters import page_filter
from vdr_integrations.llama_index.retrieval.page_of_node import found_page, given_page, hit_node
from vdr_integrations.llama_index.retrieval.question_bundle import QuestionBundle, question_of
from vdr_integrations.pages.page_inputs import open_page
from vdr_integrations.retrieval import PageSearcher, Question
from vdr_integrations.retrieval.encoder_choice import checked_multi_vector, one_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle
    from llama_index.core.vector_stores import MetadataFilters
    from numpy.typing import NDArray

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.index import Compression, Hybrid
    from vdr_integrations.pages.page_inputs import ImageInput
    from vdr_integrations.retrieval import HeatMap, SimilarityGrids
    from vdr_integrations.retrieval.bank_choice import QuestionBankChoice
    from vdr_integrations.retrieval.open_indexes import IndexChoice
    from vdr_integrations.types import Hit

__all__ = ["ColQwen2Retriever", "LateInteractionRetriever", "RetrieverOptions"]


class RetrieverOptions(EncoderArguments, total=False):
    """The options of :class:`LateInteractionRetriever`."""

    similarity_top_k: int
    filters: MetadataFilters | None
    exhaustive: bool
    candidates: int | None
    correction: float | None
    hybrid: bool | Hybrid
    recall: VDREmbedding | DenseEncoder | None
    encoder: MultiVectorEncoder | None
    model_name: str | None
    page_store_path: str | None
    callback_manager: CallbackManager | None


class LateInteractionRetriever(BaseRetriever):
    """Finds pages by late interaction: each token of a question is compared with all of a page.

    Hits are ``ImageNode`` s: id is the page's stable id in the index, text its citation and text
    layer, metadata ``source``, ``file_name``, ``page_number``, ``page_label``, ``total_pages``,
    ``page_ref``, ``page_warnings``, and the caller's own. Scores are exact MaxSim
    sums over the query's tokens, in an index with a question bank less what the page gets from any
    question, and with ``hybrid`` standard deviations above the mean. They are not cosines, and may
    be negative: use no similarity cutoff on them.
    ``RetrieverQueryEngine.from_args(retriever, llm=..., multimodal=True)`` shows the pages to the
    language model: their images come from the page store, or are drawn again from the files and
    stored there. In a ``QueryFusionRetriever`` with a retriever over another
    LlamaIndex index of the same pages, the two hits of a page count as one.

    A query is a text, several texts (``custom_embedding_strs``: their scores are added), or an
    image (``QueryBundle("", image_path=...)``: a path or page reference; a text in the same bundle
    is not searched for). The bundle is never changed, and a vector in it is never used.

    Index and model are opened and loaded on first use. Objects that name the same place share one
    open index. Copies share index and model; pickles hold neither.

    Example:
        >>> retriever = LateInteractionRetriever("my-index", similarity_top_k=1)
        >>> (hit,) = retriever.retrieve("How did revenue change?")
        >>> hit.metadata["page_label"]
        '1'
    """

    def __init__(
        self,
        index: IndexChoice,
        *,
        similarity_top_k: int = DEFAULT_HITS,
        filters: MetadataFilters | None = None,
        exhaustive: bool = False,
        candidates: int | None = None,
        correction: float | None = None,
        hybrid: bool | Hybrid = False,
        recall: VDREmbedding | DenseEncoder | None = None,
        encoder: MultiVectorEncoder | None = None,
        model_name: str | None = None,
        page_store_path: str | None = None,
        callback_manager: CallbackManager | None = None,
        **options: Unpack[EncoderArguments],
    ) -> None:
        """Open and load nothing yet.

        Args:
            index: An open index, its folder, a ``QdrantServer``,
                ``"http://host:6333/collection"``, or a list of several.
            similarity_top_k: Maximum number of pages, at least 1.
            filters: Only pages that fit, see ``page_filter``.
            exhaustive: Compare all pages one by one.
            candidates: Number of pages that the first stage of a search selects, at least
                ``similarity_top_k``.
            correction: Share of what a page gets from any question that is subtracted from its
                score, from 0 to 2; None: as in the index, see ``SearchOptions``.
            hybrid: Let the words of the question count too, by BM25 over the text layers of pages;
                a ``Hybrid`` says with which weights.
            recall: The model of the dense vectors in the index: use them to select candidates.
            encoder: The encoder that made the index, instead of the options below.
            model_name: As in :class:`VDREmbedding`; None uses that of the index.
            page_store_path: None uses ``$VDR_PAGE_STORE``, or the user's data folder.
            callback_manager: LlamaIndex's callback manager.
            **options: ``device``, ``dtype``, ``revision`` ..., see ``load_encoder``.

        Raises:
            OptionError: Options that are not allowed.
        """
        super().__init__(callback_manager=callback_manager)
        if similarity_top_k < 1:
            raise OptionError(f"similarity_top_k must be at least 1, found {similarity_top_k}.")
        if candidates is not None and candidates < similarity_top_k:
            raise OptionError(
                f"candidates must be at least similarity_top_k={similarity_top_k}, found "
                f"{candidates}."
            )
        if exhaustive and (candidates is not None or recall is not None):
            raise OptionError(
                "an exhaustive search has no first stage; leave candidates and recall out."
            )
        parse_filter(page_filter(filters))  # refuses what the index cannot do
        self.similarity_top_k = similarity_top_k
        self.filters = filters
        self.exhaustive = exhaustive
        self.candidates = candidates
        self.correction = None if correction is None else check_strength(correction)
        hybrid_weights(hybrid)  # refuses what is not allowed
        self.hybrid = hybrid
        self.page_store_path = page_store_path
        self.searcher = PageSearcher(
            index,
            encoder=one_choice(
                encoder and checked_multi_vector(encoder),
                EncoderOptions(model=model_name, **options),
            ),
            recall=recall.encoder_options if isinstance(recall, VDREmbedding) else recall,
            page_store=page_store_path,
            late_only=True,
        )

    @classmethod
    def from_documents(
        cls,
        documents: Sequence[BaseNode],
        *,
        index: IndexChoice,
        compression: Compression | None = None,
        question_bank: QuestionBankChoice = "model",
        batch_pages: int | None = None,
        show_progress: bool = False,
        **options: Unpack[RetrieverOptions],
    ) -> Self:
        """A retriever over an index, after :meth:`add_nodes`; the index is made if there is none.

        A new index stores the vectors of ``model_name``, by default ``vidore/colqwen2-v1.0``, as
        ``compression`` says, and with ``recall`` dense vectors too. ``question_bank`` says by which
        questions scores are corrected, see ``PageSearcher.create``. ``options`` are those of the
        retriever.

        Raises:
            OptionError: The index was made with another compression or question bank.
            VdrError: See :meth:`add_nodes`.
        """
        retriever = cls(index, **options)
        retriever.searcher.create(compression=compression, question_bank=question_bank)
        retriever.add_nodes(documents, batch_pages=batch_pages, show_progress=show_progress)
        return retriever

    def search_image(self, image: ImageInput, *, text: str | None = None) -> list[NodeWithScore]:
        """The pages most similar to an image; see ``PageSearcher.search_image``."""
        page = open_page(image, store=self.searcher.page_store)
        return self.retrieve(QuestionBundle(Question.of_image(page, text)))

    async def asearch_image(
        self, image: ImageInput, *, text: str | None = None
    ) -> list[NodeWithScore]:
        """:meth:`search_image` without blocking the event loop."""
        page = await asyncio.to_thread(open_page, image, store=self.searcher.page_store)
        return await self.aretrieve(QuestionBundle(Question.of_image(page, text)))

    def search_vectors(self, query: NDArray[np.float32]) -> list[NodeWithScore]:
        """The pages that match token vectors best: float32 (tokens, dimension), rows of length 1.

        Raises:
            OptionError: Another shape or dtype, or a retriever with ``recall``.
            InvalidVectorError: NaN, infinity, or a vector of another length than 1.
        """
        return self.retrieve(QuestionBundle(Question(vectors=query)))

    async def asearch_vectors(self, query: NDArray[np.float32]) -> list[NodeWithScore]:
        """:meth:`search_vectors` without blocking the event loop."""
        return await self.aretrieve(QuestionBundle(Question(vectors=query)))

    def similarity_grids(self, query: str | QueryBundle, node: BaseNode) -> SimilarityGrids:
        """Where on a page each token of a question matches; see ``PageSearcher.grids``."""
        return self.searcher.grids(self._question(query), found_page(node))

    async def asimilarity_grids(self, query: str | QueryBundle, node: BaseNode) -> SimilarityGrids:
        """:meth:`similarity_grids` without blocking the event loop."""
        return await asyncio.to_thread(self.similarity_grids, query, node)

    def heatmap(self, query: str | QueryBundle, node: BaseNode) -> HeatMap:
        """:meth:`similarity_grids` drawn over the page; see ``PageSearcher.heatmap``."""
        return self.searcher.heatmap(self._question(query), found_page(node))

    async def aheatmap(self, query: str | QueryBundle, node: BaseNode) -> HeatMap:
        """:meth:`heatmap` without blocking the event loop."""
        return await asyncio.to_thread(self.heatmap, query, node)

    def add_nodes(
        self,
        nodes: Sequence[BaseNode],
        *,
        batch_pages: int | None = None,
        show_progress: bool = False,
    ) -> list[str]:
        """Put pages into the index, document by document; unchanged pages are left alone.

        ``file_path`` and page number identify a page: it replaces a page with another image, text
        or metadata, and other pages of its document stay. Node metadata must be JSON. To remove
        pages, use ``index.remove_document`` and ``remove_pages``.

        Args:
            nodes: Documents of ``PDFPageReader``, or nodes of ``PDFPageNodeParser``.
            batch_pages: Number of pages in memory at a time, see ``PageSearcher.add_pages``.
            show_progress: Show a progress bar on stderr.

        Returns:
            Page ids in the order of ``nodes``; hits have the same ids.

        Raises:
            OptionError: A node that is not a page.
            VdrError: See ``PageSearcher.add_pages``.
        """
        pages = [given_page(node) for node in nodes]
        with tqdm(total=len(pages), desc="Indexing pages", disable=not show_progress) as bar:
            self.searcher.add_pages(pages, batch_pages=batch_pages, on_document=bar.update)
        return [page.page_id for page in pages]

    async def aadd_nodes(
        self,
        nodes: Sequence[BaseNode],
        *,
        batch_pages: int | None = None,
        show_progress: bool = False,
    ) -> list[str]:
        """:meth:`add_nodes` without blocking the event loop."""
        return await asyncio.to_thread(
            self.add_nodes, nodes, batch_pages=batch_pages, show_progress=show_progress
        )

    def close(self) -> None:
        """Close the index if it was opened here and no other object uses it."""
        self.searcher.close()

    def __enter__(self) -> Self:
        """The retriever itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        question = self._question(query_bundle)
        return self._nodes(self.searcher.search(question, **self._search_options))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        question = await asyncio.to_thread(self._question, query_bundle)
        hits = await self.searcher.asearch(question, **self._search_options)
        return await asyncio.to_thread(self._nodes, hits)

    @property
    def _search_options(self) -> dict[str, Any]:
        return {
            "k": self.similarity_top_k,
            "filter": page_filter(self.filters),
            "exhaustive": self.exhaustive,
            "candidates": self.candidates,
            "correction": self.correction,
            "hybrid": self.hybrid,
        }

    def _question(self, query: str | QueryBundle) -> Question:
        return question_of(query, self.searcher.page_store)

    def _nodes(self, hits: Sequence[Hit]) -> list[NodeWithScore]:
        self.searcher.pictures.keep(hits)
        return [hit_node(hit, self.searcher.page_store) for hit in hits]


ColQwen2Retriever = LateInteractionRetriever
"""The name of earlier examples; what was pickled under it loads."""
