"""Nodes as pages, and hits as nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core.schema import BaseNode, Document, ImageNode, NodeWithScore

from vdr_integrations.errors import OptionError
from vdr_integrations.index import PageRecord
from vdr_integrations.index.sync.page_ingest import GivenPage
from vdr_integrations.llama_index.embedding.node_items import node_image
from vdr_integrations.llama_index.reading.page_nodes import (
    CITATION_KEY,
    PAGE_KEY,
    TEXT_KEY,
    image_node,
    page_document,
    page_ref,
)
from vdr_integrations.retrieval import FoundPage
from vdr_integrations.retrieval.page_reading import ReadPage

if TYPE_CHECKING:
    from vdr_integrations.pages import PageStore
    from vdr_integrations.types import Hit

__all__ = ["found_page", "given_page", "hit_node"]

# What an index keeps of a page by itself.
_FACTS = (PAGE_KEY, CITATION_KEY, TEXT_KEY, "source", "page_label", "page_number", "total_pages")


def hit_node(hit: Hit, store: PageStore) -> NodeWithScore:
    """A hit as the node that ``PDFPageReader`` and ``PDFPageNodeParser`` make, but for its id.

    Text, image path and Document id are the same, so LlamaIndex takes it and the node of a stock
    index for one page. The id is the page's own, ``Hit.page_id``.
    """
    image_path = store.path(hit.page_ref).absolute()
    document = page_document(ReadPage.of(hit), image_path=image_path, extra_info=hit.metadata)
    return NodeWithScore(node=image_node(document, node_id=hit.page_id), score=hit.score)


def found_page(
    node: BaseNode, *, score: float | None = None, with_image: bool = False
) -> FoundPage:
    """The page that a node is, as far as it is one.

    Args:
        node: Of any retriever.
        score: Of the hit.
        with_image: Open the image of a node that has no page reference.

    Raises:
        PageError: The image cannot be opened.
    """
    text = node.metadata.get(TEXT_KEY)
    image = node_image(node) if with_image and page_ref(node) is None else None
    return FoundPage.of_metadata(
        node.metadata,
        text=text if isinstance(text, str) else node.get_content(),
        score=score,
        document_id=node.node_id,
        image=image,
    )


def given_page(node: BaseNode) -> GivenPage:
    """A page Document or page node as an index takes it.

    Raises:
        OptionError: The node is not a page, or its metadata name another document.
    """
    ref = page_ref(node)
    facts = node.metadata
    number, source = facts.get("page_number"), facts.get("file_path")
    is_page = isinstance(node, Document | ImageNode) and ref is not None
    if not is_page or not isinstance(number, int) or not isinstance(source, str):
        raise OptionError(
            f"{type(node).__name__} {node.node_id} is not a page; give Documents of PDFPageReader "
            f"or nodes of PDFPageNodeParser, with their file_path and page_number."
        )
    if facts.get("source", source) != source:
        raise OptionError(
            f"{source} page {number}: the metadata key 'source' names the document in the index, "
            f"found another value; rename your key."
        )
    text = facts.get(TEXT_KEY)
    return GivenPage(
        source=source,
        total_pages=int(facts.get("total_pages", number)),
        record=PageRecord(
            number,
            page_label=str(facts.get("page_label", number)),
            page_ref=str(ref),
            text=text if isinstance(text, str) else "",
        ),
        metadata={key: value for key, value in facts.items() if key not in _FACTS},
    )
