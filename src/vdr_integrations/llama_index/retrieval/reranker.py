"""LlamaIndex reranker of pages by late interaction."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llama_index.core import instrumentation
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator

from vdr_integrations.encoders import Checkpoint, MultiVectorHandle
from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index.embedding.items import ItemContext
from vdr_integrations.llama_index.retrieval.node_scores import NodeScores
from vdr_integrations.llama_index.retrieval.queries import question_of
from vdr_integrations.llama_index.retrieval.sources import (
    DEFAULT_MODEL,
    EncoderChoice,
    IndexSource,
)
from vdr_integrations.pages import PageStore

if TYPE_CHECKING:
    from collections.abc import Generator

    from llama_index.core.schema import NodeWithScore, QueryBundle

    from vdr_integrations.encoders import MultiVectorEncoder

__all__ = ["ColQwen2Rerank"]

# LlamaIndex's documentation takes it from here, where it is imported without being re-exported.
_dispatcher = instrumentation.get_dispatcher(__name__)  # pyright: ignore[reportPrivateImportUsage]


class ColQwen2Rerank(BaseNodePostprocessor):
    """Orders page and image nodes of any retriever by late interaction with the query.

    Vectors of pages that the index holds, of the very image that a node refers to, are taken from
    there; the images of the others are encoded, all in one call, and compared as if the index
    held them. Scores are MaxSim sums over the query's tokens; nodes of equal scores stay in
    order. The nodes that come in are not changed, and a query image works as in
    :class:`ColQwen2Retriever`.

    A text cannot be compared with pages: nodes without image are refused, or with
    ``keep_text_nodes`` come last, in order and without score, as far as ``top_n`` has room.

    Copies share index and model, pickles hold neither.

    Attributes:
        top_n: At most this many nodes, at least 1.
        index: An open ``LateInteractionIndex`` or where one is, see :class:`ColQwen2Retriever`;
            None: all images are encoded.
        encoder: The encoder that made the index, instead of the options below.
        model_name: As in :class:`VDREmbedding`, like what follows; None: as in the index, or
            ``vidore/colqwen2-v1.0`` without one.
        max_visual_tokens: None: as in the index, or 768.
        keep_text_nodes: Let nodes without image come last.
        page_store_path: None: ``$VDR_PAGE_STORE``, or the user's cache folder.
        token: Hub token. Never in ``to_dict``.
    """

    model_config = ConfigDict(extra="forbid")

    top_n: int = Field(default=5, ge=1)
    index: Any | None = Field(default=None, exclude=True)
    encoder: Any | None = Field(default=None, exclude=True)
    model_name: str | None = Field(default=None, min_length=1)
    revision: str | None = None
    device: str | None = None
    dtype: str = "auto"
    attn_implementation: str | None = None
    max_visual_tokens: int | None = Field(default=None, ge=1)
    batch_visual_tokens: int | None = Field(default=None, ge=1)
    checkpoint: Checkpoint | None = None
    cache_dir: str | None = None
    local_files_only: bool = False
    keep_text_nodes: bool = False
    page_store_path: str | None = None
    token: SecretStr | None = Field(default=None, exclude=True, repr=False)

    _handle: MultiVectorHandle = PrivateAttr(default_factory=MultiVectorHandle)

    @classmethod
    def class_name(cls) -> str:
        """``"ColQwen2Rerank"``."""
        return "ColQwen2Rerank"

    @field_validator("index", mode="before")
    @classmethod
    def _index_source(cls, value: Any) -> IndexSource | None:  # noqa: ANN401  # whatever was given
        return value if value is None or isinstance(value, IndexSource) else IndexSource(value)

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401  # pydantic's signature
        """Refuse an encoder beside options to load one with."""
        super().model_post_init(context)
        self._choice()

    def close(self) -> None:
        """Close the index if it was opened here; the next call opens it again."""
        if self.index is not None:
            self.index.close()

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = _required(query_bundle)
        if not nodes:
            return []
        with self._observed(nodes, query) as reranked:
            index = None if self.index is None else self.index.get()
            encoder = self._choice().load(self._handle, index)
            context = self._context(encoder)
            question = question_of(query, context.store).encode(encoder)
            scores = NodeScores(nodes, question, index, context, texts=self.keep_text_nodes)
            if index is not None:
                scores.take_stored(index.rerank(question, scores.look_up(index)))
            pages = scores.load_missing()
            if pages:
                scores.take_encoded(encoder.encode_pages(pages), encoder)
            reranked.extend(scores.best(self.top_n))
        return reranked

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = _required(query_bundle)
        if not nodes:
            return []
        with self._observed(nodes, query) as reranked:
            index = None if self.index is None else await self.index.aget()
            encoder = await self._choice().aload(self._handle, index)
            context = self._context(encoder)
            asked = await asyncio.to_thread(question_of, query, context.store)
            question = await asked.aencode(encoder)
            scores = NodeScores(nodes, question, index, context, texts=self.keep_text_nodes)
            if index is not None:
                page_ids = await asyncio.to_thread(scores.look_up, index)
                scores.take_stored(await index.arerank(question, page_ids))
            pages = await asyncio.to_thread(scores.load_missing)
            if pages:
                matrices = await encoder.aencode_pages(pages)
                await asyncio.to_thread(scores.take_encoded, matrices, encoder)
            reranked.extend(scores.best(self.top_n))
        return reranked

    @contextmanager
    def _observed(
        self, nodes: list[NodeWithScore], query: QueryBundle
    ) -> Generator[list[NodeWithScore]]:
        """Report one call to the callback manager and to the instrumentation."""
        name = self.encoder.name if self.encoder else self.model_name or DEFAULT_MODEL
        reranked: list[NodeWithScore] = []
        _dispatcher.event(
            ReRankStartEvent(query=query, nodes=nodes, top_n=self.top_n, model_name=name)
        )
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: name,
            EventPayload.QUERY_STR: query.query_str,
            EventPayload.TOP_K: self.top_n,
        }
        with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            yield reranked
            event.on_end(payload={EventPayload.NODES: reranked})
        _dispatcher.event(ReRankEndEvent(nodes=reranked))

    def _context(self, encoder: MultiVectorEncoder) -> ItemContext:
        return ItemContext(PageStore(self.page_store_path), encoder.pixel_budget)

    def _choice(self) -> EncoderChoice:
        return EncoderChoice(
            encoder=self.encoder,
            model_name=self.model_name,
            revision=self.revision,
            device=self.device,
            dtype=self.dtype,
            attn_implementation=self.attn_implementation,
            max_visual_tokens=self.max_visual_tokens,
            batch_visual_tokens=self.batch_visual_tokens,
            checkpoint=self.checkpoint,
            token=self.token.get_secret_value() if self.token else None,
            cache_dir=self.cache_dir,
            local_files_only=self.local_files_only,
        )


def _required(query: QueryBundle | None) -> QueryBundle:
    if query is None:
        raise OptionError(
            "reranking needs the query; call postprocess_nodes(nodes, query_str=...)."
        )
    return query
