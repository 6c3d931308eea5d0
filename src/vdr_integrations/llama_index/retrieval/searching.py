"""The searching half of the retriever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.constants import DEFAULT_SIMILARITY_TOP_K

from vdr_integrations.encoders import MultiVectorHandle
from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index.retrieval.hit_nodes import nodes_of_hits
from vdr_integrations.llama_index.retrieval.metadata_filters import page_filter
from vdr_integrations.llama_index.retrieval.queries import question_of
from vdr_integrations.llama_index.retrieval.recall import DenseRecall
from vdr_integrations.llama_index.retrieval.sources import EncoderChoice, IndexSource
from vdr_integrations.pages import PageStore

if TYPE_CHECKING:
    from types import TracebackType

    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.schema import NodeWithScore, QueryBundle
    from llama_index.core.vector_stores import MetadataFilters

    from vdr_integrations.encoders import Checkpoint, DenseEncoder, MultiVectorEncoder
    from vdr_integrations.index import LateInteractionIndex
    from vdr_integrations.llama_index.embedding.vdr_embedding import VDREmbedding
    from vdr_integrations.llama_index.retrieval.sources import IndexLocation

__all__ = ["PageSearch"]


class PageSearch(BaseRetriever):
    """Options, and how a bundle becomes nodes; see :class:`ColQwen2Retriever`."""

    def __init__(
        self,
        index: LateInteractionIndex | IndexLocation,
        *,
        similarity_top_k: int = DEFAULT_SIMILARITY_TOP_K,
        filters: MetadataFilters | None = None,
        exhaustive: bool = False,
        candidates: int | None = None,
        recall: VDREmbedding | DenseEncoder | None = None,
        encoder: MultiVectorEncoder | None = None,
        model_name: str | None = None,
        revision: str | None = None,
        device: str | None = None,
        dtype: str = "auto",
        attn_implementation: str | None = None,
        max_visual_tokens: int | None = None,
        batch_visual_tokens: int | None = None,
        checkpoint: Checkpoint | None = None,
        token: str | None = None,
        cache_dir: str | None = None,
        local_files_only: bool = False,
        page_store_path: str | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        """Open and load nothing yet.

        Args:
            index: An open index, its folder, a ``QdrantServer``, or
                ``"http://host:6333/collection"``.
            similarity_top_k: At most this many pages, at least 1.
            filters: Only pages that fit, see ``page_filter``; what cannot be translated is
                refused.
            exhaustive: Compare all pages one by one.
            candidates: Pages that the first stage of a search brings, at least
                ``similarity_top_k``.
            recall: Bring candidates by the dense vectors in the index; the model that made them.
            encoder: The encoder that made the index, instead of the options below.
            model_name: As in :class:`VDREmbedding`, like what follows; None: as in the index.
            revision: Branch, tag or commit on the hub.
            device: None takes the best there is.
            dtype: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``; ``"int8"`` and
                ``"float8"`` keep weights in 8 bits, see ``load_encoder``.
            attn_implementation: None takes the fastest usable.
            max_visual_tokens: None: as in the index.
            batch_visual_tokens: None: what suits the device.
            checkpoint: Prompts of a checkpoint that is not known by its name.
            token: Hub token.
            cache_dir: Where checkpoints from the hub are kept.
            local_files_only: Never ask the hub.
            page_store_path: None: ``$VDR_PAGE_STORE``, or the user's cache folder.
            callback_manager: LlamaIndex's.

        Raises:
            OptionError: Options outside what is allowed.
        """
        super().__init__(callback_manager=callback_manager)
        _check_numbers(similarity_top_k, candidates)
        if exhaustive and (candidates is not None or recall is not None):
            raise OptionError("an exhaustive search has no candidates and no recall.")
        self.similarity_top_k = similarity_top_k
        self.filters = filters
        self.exhaustive = exhaustive
        self.candidates = candidates
        self.page_store_path = page_store_path
        self._filter = page_filter(filters)
        self._recall = None if recall is None else DenseRecall(recall)
        self._index = IndexSource(index)
        self._handle = MultiVectorHandle()
        self._choice = EncoderChoice(
            encoder=encoder,
            model_name=model_name,
            revision=revision,
            device=device,
            dtype=dtype,
            attn_implementation=attn_implementation,
            max_visual_tokens=max_visual_tokens,
            batch_visual_tokens=batch_visual_tokens,
            checkpoint=checkpoint,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )

    def close(self) -> None:
        """Close the index if it was opened here; the next query opens it again."""
        self._index.close()

    def __enter__(self) -> Self:
        """The retriever itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        index, store = self._index.get(), self._store
        encoder = self._choice.load(self._handle, index)
        question = question_of(query_bundle, store)
        dense = None
        if self._recall is not None:
            dense = question.encode_dense(self._recall.encoder(index))
        hits = index.search(
            question.encode(encoder),
            k=self.similarity_top_k,
            filter=self._filter,
            exhaustive=self.exhaustive,
            candidates=self.candidates,
            dense_query=dense,
        )
        return nodes_of_hits(hits, store, encoder.pixel_budget)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        index, store = await self._index.aget(), self._store
        encoder = await self._choice.aload(self._handle, index)
        question = await asyncio.to_thread(question_of, query_bundle, store)
        dense = None
        if self._recall is not None:
            dense = await question.aencode_dense(await self._recall.aencoder(index))
        hits = await index.asearch(
            await question.aencode(encoder),
            k=self.similarity_top_k,
            filter=self._filter,
            exhaustive=self.exhaustive,
            candidates=self.candidates,
            dense_query=dense,
        )
        return await asyncio.to_thread(nodes_of_hits, hits, store, encoder.pixel_budget)

    @property
    def _store(self) -> PageStore:
        return PageStore(self.page_store_path)


def _check_numbers(similarity_top_k: int, candidates: int | None) -> None:
    if similarity_top_k < 1:
        raise OptionError(f"similarity_top_k must be at least 1, found {similarity_top_k}.")
    if candidates is not None and candidates < similarity_top_k:
        raise OptionError(
            f"candidates must be at least similarity_top_k={similarity_top_k}, found {candidates}."
        )
