"""Nodes on their way through a reranker: what is stored, what is to be encoded, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from llama_index.core.schema import BaseNode, ImageNode, Node, NodeWithScore

from vdr_integrations.errors import OptionError
from vdr_integrations.index import maxsim_score
from vdr_integrations.index.scoring.token_pooling import pool_visual_tokens
from vdr_integrations.llama_index.embedding.items import PageItem, stored_page
from vdr_integrations.llama_index.embedding.node_items import node_item
from vdr_integrations.llama_index.reading.page_nodes import page_ref
from vdr_integrations.llama_index.retrieval.stored_pages import (
    candidate_ids,
    stored_page_ids,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders import MultiVectorEncoder
    from vdr_integrations.index import LateInteractionIndex
    from vdr_integrations.llama_index.embedding.items import ItemContext
    from vdr_integrations.types import Hit, PageImage

__all__ = ["NodeScores"]

_SCORE_DECIMALS = 5
"""As in the index, so that one page scores the same by either way."""


class NodeScores:
    """Nodes and their scores, as they come in.

    Args:
        nodes: None of them is changed.
        question: float32 (query tokens, dimension).
        index: How its vectors are stored is how the others are compared.
        context: What images are opened with.
        texts: Let nodes without image come last.

    Raises:
        OptionError: A node without image that is not to come last.
    """

    def __init__(
        self,
        nodes: Sequence[NodeWithScore],
        question: NDArray[np.float32],
        index: LateInteractionIndex | None,
        context: ItemContext,
        *,
        texts: bool,
    ) -> None:
        self._nodes = nodes
        self._question = question
        self._compression = None if index is None else index.compression
        self._context = context
        self._pages = {place: hit.node for place, hit in enumerate(nodes) if _has_image(hit.node)}
        self._page_ids: dict[int, str] = {}
        self._scores: dict[int, float] = {}
        self._missing: dict[str, list[int]] = {}
        self._images: list[PageImage] = []
        if len(self._pages) < len(nodes) and not texts:
            bare = next(hit.node for hit in nodes if not _has_image(hit.node))
            raise OptionError(
                f"{type(bare).__name__} {bare.node_id} has no image, and a text cannot be "
                f"compared with pages. Rerank pages only, or set keep_text_nodes=True to let "
                f"nodes without image come last."
            )

    def look_up(self, index: LateInteractionIndex) -> list[str]:
        """Ids of the nodes' pages that the index holds."""
        nodes = list(self._pages.values())
        stored = {page.page_id: page for page in index.get(candidate_ids(nodes))}
        ids = zip(self._pages, stored_page_ids(nodes, stored), strict=True)
        self._page_ids = {place: found for place, found in ids if found is not None}
        return list(dict.fromkeys(self._page_ids.values()))

    def take_stored(self, hits: Sequence[Hit]) -> None:
        """Take the scores of :meth:`look_up`'s pages."""
        scores = {hit.page_id: hit.score for hit in hits}
        self._scores = {
            place: scores[found] for place, found in self._page_ids.items() if found in scores
        }

    def load_missing(self) -> list[PageImage]:
        """Images of the nodes that have no score yet, each once; reads files.

        Raises:
            PageError: An image cannot be opened, or is not in the page store.
        """
        self._images = []
        for place, node in self._pages.items():
            if place in self._scores:
                continue
            item = _item(node, self._context)
            if item.sha256 not in self._missing:
                self._images.append(item.load())
            self._missing.setdefault(item.sha256, []).append(place)
        return self._images

    def take_encoded(
        self, matrices: Sequence[NDArray[np.float32]], encoder: MultiVectorEncoder
    ) -> None:
        """Take the vectors of :meth:`load_missing`'s images."""
        for image, matrix, places in zip(
            self._images, matrices, self._missing.values(), strict=True
        ):
            page = matrix
            if self._compression is not None:
                grid = encoder.page_layout(image.height, image.width)
                pooled = pool_visual_tokens(matrix, grid, factor=self._compression.token_pooling)
                page = pooled.astype(np.dtype(self._compression.vectors)).astype(np.float32)
            score = round(maxsim_score(self._question, page), _SCORE_DECIMALS) + 0.0
            self._scores.update(dict.fromkeys(places, score))

    def best(self, top_n: int) -> list[NodeWithScore]:
        """The best nodes, best first, then those without image."""
        order = sorted(self._scores, key=lambda place: (-self._scores[place], place))
        ranked = [
            NodeWithScore(node=self._nodes[place].node, score=self._scores[place])
            for place in order
        ]
        bare = [
            NodeWithScore(node=hit.node)
            for place, hit in enumerate(self._nodes)
            if place not in self._pages
        ]
        return (ranked + bare)[:top_n]


def _has_image(node: BaseNode) -> bool:
    return (
        page_ref(node) is not None
        or isinstance(node, ImageNode)
        or (isinstance(node, Node) and node.image_resource is not None)
    )


def _item(node: BaseNode, context: ItemContext) -> PageItem:
    ref = page_ref(node)
    item = stored_page(ref, context) if ref is not None else node_item(node, context)
    if isinstance(item, PageItem):
        return item
    raise OptionError(f"{type(node).__name__} {node.node_id} has no image that can be compared.")
