"""Why a page was found: how similar each token of a question is to each place on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError
from vdr_integrations.index import HeatMap, SimilarityGrids, similarity_grids
from vdr_integrations.llama_index.reading.page_nodes import page_ref
from vdr_integrations.llama_index.retrieval.stored_pages import (
    candidate_ids,
    stored_page_ids,
)

if TYPE_CHECKING:
    import numpy as np
    from llama_index.core.schema import BaseNode
    from numpy.typing import NDArray

    from vdr_integrations.encoders import MultiVectorEncoder
    from vdr_integrations.index import LateInteractionIndex
    from vdr_integrations.llama_index.retrieval.queries import Question
    from vdr_integrations.pages import PageStore
    from vdr_integrations.types import PatchGrid

__all__ = ["node_grids", "node_heatmap"]


def node_grids(
    question: Question,
    node: BaseNode,
    *,
    index: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    store: PageStore,
) -> SimilarityGrids:
    """The grids of a question on a node's page.

    Stored vectors are used; where there are none, or tokens were pooled, the page's image in the
    store is encoded again.

    Raises:
        OptionError: A question that is no text, or a node that is no page.
        PageReferenceError: The page's image is needed and not in the store.
    """
    if not question.texts:
        raise OptionError("similarity grids are drawn for the tokens of a text, found no text.")
    vectors, grid = _page(node, index, encoder, store)
    tokens = [token for text in question.texts for token in encoder.query_tokens(text)]
    grids = similarity_grids(question.encode(encoder), vectors, grid)
    return SimilarityGrids(tuple(tokens), grids)


def node_heatmap(
    question: Question,
    node: BaseNode,
    *,
    index: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    store: PageStore,
) -> HeatMap:
    """The grids of :func:`node_grids`, drawn over the page.

    Raises:
        OptionError: A question that is no text, or a node that is no page.
        PageReferenceError: The page's image is not in the store.
    """
    grids = node_grids(question, node, index=index, encoder=encoder, store=store)
    ref = page_ref(node)
    if ref is None:
        raise _no_page(node)
    name, number = (node.metadata.get(key, "") for key in ("file_name", "page_number"))
    label = f"{name} page {number}" if name and number else "page"
    prompt = encoder.checkpoint.query_prompt
    return HeatMap(grids, store.get(ref), prompt=prompt, label=label)


def _page(
    node: BaseNode, index: LateInteractionIndex, encoder: MultiVectorEncoder, store: PageStore
) -> tuple[NDArray[np.float32], PatchGrid]:
    stored = {page.page_id: page for page in index.get(candidate_ids([node]), with_vectors=True)}
    (found,) = stored_page_ids([node], stored)
    if found is not None:
        page = stored[found]
        if page.grid is not None and page.vectors is not None:
            return page.vectors, page.grid
    ref = page_ref(node)
    if ref is None:
        raise _no_page(node)
    image = store.get(ref)
    return encoder.encode_pages([image])[0], encoder.page_layout(image.height, image.width)


def _no_page(node: BaseNode) -> OptionError:
    return OptionError(
        f"{type(node).__name__} {node.node_id} is not a page; give a node of this retriever, "
        f"or of PDFPageNodeParser."
    )
