"""LlamaIndex reranker of pages by late interaction."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llama_index.core import instrumentation
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore
from pydantic import ConfigDict, Field

from vdr_integrations.defaults import DEFAULT_HITS, DEFAULT_LATE_MODEL
from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index.embedding.node_items import has_image
from vdr_integrations.llama_index.retrieval.page_of_node import found_page
from vdr_integrations.llama_index.retrieval.question_bundle import question_of
from vdr_integrations.retrieval.encoder_fields import LateFields
from vdr_integrations.retrieval.open_indexes import SharedIndex

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from llama_index.core.schema import QueryBundle

    from vdr_integrations.retrieval import FoundPage, PageSearcher, RankedPage

__all__ = ["ColQwen2Rerank", "LateInteractionRerank"]

# LlamaIndex's documentation imports it from here, although the module does not re-export it.
_dispatcher = instrumentation.get_dispatcher(__name__)  # pyright: ignore[reportPrivateImportUsage]


class LateInteractionRerank(LateFields, BaseNodePostprocessor):
    """Orders page and image nodes of any retriever by late interaction with the query.

    Nodes are scored as in ``PageSearcher.rerank``: by the vectors of the index, or by encoding the
    images that it does not hold. Scores are MaxSim sums over the query's tokens. The nodes that
    are passed in are not changed, and a query image works as in :class:`LateInteractionRetriever`.

    A text cannot be compared with pages: a node without an image is an error, or with
    ``keep_text_nodes`` comes last, in order and without a score, if ``top_n`` has room.

    Copies share index and model; pickles hold neither.

    Attributes:
        top_n: Maximum number of nodes, at least 1.
        index: An open ``LateInteractionIndex`` or the place of one, see
            :class:`LateInteractionRetriever`; None: all images are encoded.
        encoder: The encoder that made the index, instead of the options below.
        model_name: As in :class:`VDREmbedding`; None uses that of the index, or
            ``vidore/colqwen2-v1.0`` without an index.
        max_visual_tokens: None uses that of the index, or 768.
        keep_text_nodes: Keep nodes without an image, after the others.

    See ``LateFields`` for the other options: ``device``, ``dtype``, ``page_store_path`` ...
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    top_n: int = Field(default=DEFAULT_HITS, ge=1)
    index: Any | None = Field(default=None, exclude=True)
    model_name: str | None = Field(default=None, min_length=1)
    keep_text_nodes: bool = False

    @classmethod
    def class_name(cls) -> str:
        """``"LateInteractionRerank"``."""
        return "LateInteractionRerank"

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401  # pydantic's signature
        """Refuse what is not an index, and an encoder together with options to load one."""
        super().model_post_init(context)
        if self.index is not None and not isinstance(self.index, SharedIndex):
            self.index = SharedIndex(self.index)
        _ = self._searcher

    def close(self) -> None:
        """Close the index if it was opened here and no other object uses it."""
        self._searcher.close()

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = _required(query_bundle)
        if not nodes:
            return []
        with self._observed(nodes, query) as reranked:
            places, pages = self._pages(nodes)
            question = question_of(query, self._searcher.page_store)
            ranked = self._searcher.rerank(question, pages)
            reranked.extend(self._best(nodes, places, ranked))
        return reranked

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = _required(query_bundle)
        if not nodes:
            return []
        with self._observed(nodes, query) as reranked:
            places, pages = await asyncio.to_thread(self._pages, nodes)
            question = await asyncio.to_thread(question_of, query, self._searcher.page_store)
            ranked = await self._searcher.arerank(question, pages)
            reranked.extend(self._best(nodes, places, ranked))
        return reranked

    def _pages(self, nodes: Sequence[NodeWithScore]) -> tuple[list[int], list[FoundPage]]:
        """The positions of the nodes that have an image, and their pages."""
        places = [place for place, hit in enumerate(nodes) if has_image(hit.node)]
        if len(places) < len(nodes) and not self.keep_text_nodes:
            bare = next(hit.node for hit in nodes if not has_image(hit.node))
            raise OptionError(
                f"{type(bare).__name__} {bare.node_id} has no image, and a text cannot be compared "
                f"with pages. Rerank pages only, or set keep_text_nodes=True to let nodes without "
                f"an image come last."
            )
        return places, [found_page(nodes[place].node, with_image=True) for place in places]

    def _best(
        self, nodes: Sequence[NodeWithScore], places: Sequence[int], ranked: Sequence[RankedPage]
    ) -> list[NodeWithScore]:
        best = [NodeWithScore(node=nodes[places[at]].node, score=score) for at, score in ranked]
        bare = [NodeWithScore(node=hit.node) for hit in nodes if not has_image(hit.node)]
        return (best + bare)[: self.top_n]

    @contextmanager
    def _observed(
        self, nodes: list[NodeWithScore], query: QueryBundle
    ) -> Generator[list[NodeWithScore]]:
        """Report one call to the callback manager and to the instrumentation."""
        name = self._searcher.model_name or DEFAULT_LATE_MODEL
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

    @property
    def _searcher(self) -> PageSearcher:
        return self._searcher_over(self.index, self.model_name)


ColQwen2Rerank = LateInteractionRerank
"""The name of earlier examples; what was pickled under it loads."""


def _required(query: QueryBundle | None) -> QueryBundle:
    if query is None:
        raise OptionError(
            "reranking needs the query; call postprocess_nodes(nodes, query_str=...)."
        )
    return query
