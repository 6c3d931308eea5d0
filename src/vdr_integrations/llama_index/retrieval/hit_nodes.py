"""Hits as the image nodes that LlamaIndex makes of the same pages, and where their images are."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from llama_index.core.schema import Document, ImageNode, MediaResource, NodeWithScore

from vdr_integrations.index.page_pictures import keep_pictures
from vdr_integrations.llama_index.reading.page_nodes import PAGE_KEY, image_node, page_node_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.pages import PageStore
    from vdr_integrations.types import Hit, PixelBudget

__all__ = ["citation", "hit_node", "nodes_of_hits"]


def nodes_of_hits(
    hits: Sequence[Hit], store: PageStore, budget: PixelBudget
) -> list[NodeWithScore]:
    """Hits as nodes, best first, with their images in the store as far as they can be had."""
    keep_pictures(hits, store=store, budget=budget)
    return [NodeWithScore(node=hit_node(hit, store), score=hit.score) for hit in hits]


def hit_node(hit: Hit, store: PageStore) -> ImageNode:
    """The node of a page: that of ``PDFPageReader`` and ``PDFPageNodeParser``, but for its id.

    Its text, image path and Document id are the same, so that LlamaIndex takes it and the node of
    a stock index for one page. Its id is the page's own, ``Hit.page_id``.
    """
    metadata: dict[str, Any] = {
        "file_name": _file_name(hit.source),
        "file_path": hit.source,
        **hit.metadata,
        PAGE_KEY: hit.page_ref,
        "source": hit.source,
        "page_label": hit.page_label,
        "page_number": hit.page_number,
        "total_pages": hit.total_pages,
    }
    cited = citation(hit.source, hit.page_label, hit.page_number, hit.total_pages)
    document = Document(
        # The reader makes ids of path and page number as the parser does of Document and place.
        id_=page_node_id(hit.page_number, Document(id_=hit.source)),
        text=f"{cited}\n\n{hit.text}".strip(),
        image_resource=MediaResource(
            path=store.path(hit.page_ref).absolute(), mimetype="image/png"
        ),
        metadata=metadata,
    )
    return image_node(document, node_id=hit.page_id)


def citation(source: str, page_label: str, page_number: int, total_pages: int) -> str:
    """``report.pdf, page iv (4 of 12)``, as in the texts of pages that the reader made."""
    return f"{_file_name(source)}, page {page_label} ({page_number} of {total_pages})"


def _file_name(source: str) -> str:
    scheme, _, digest = source.partition(":")
    # What the reader calls a PDF that it was given as bytes.
    return f"{digest[:12]}.pdf" if scheme == "sha256" else PurePath(source).name
