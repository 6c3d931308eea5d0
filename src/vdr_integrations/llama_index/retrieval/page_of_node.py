"""Turns nodes into pages, and hits into nodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llama_index.core.schema import BaseNode, Document, ImageNode, NodeWithScore

from vdr_integrations.errors import OptionError
from vdr_integrations.index import PageRecord
from vdr_integrations.index.stored_page import page_id
from vdr_integrations.index.sync.page_ingest import GivenPage
from vdr_integrations.llama_index.embedding.node_items import node_image
from vdr_integrations.llama_index.reading.page_nodes import image_node, page_document
from vdr_integrations.retrieval import FoundPage
from vdr_integrations.retrieval.page_metadata import (
    FACT_KEYS,
    FILE_NAME_KEY,
    PAGE_ID_KEY,
    TEXT_KEY,
    ReadPage,
    page_ref_among,
    warnings_among,
)

if TYPE_CHECKING:
    from vdr_integrations.pages import PageStore
    from vdr_integrations.types import Hit

__all__ = ["found_page", "given_page", "hit_node"]

# The index stores these itself; all other keys are the caller's metadata. A document of bytes has
# no other place for its file name.
_FACTS = frozenset(FACT_KEYS) - {FILE_NAME_KEY}


def hit_node(hit: Hit, store: PageStore) -> NodeWithScore:
    """The node that ``PDFPageReader`` and ``PDFPageNodeParser`` make of a page, with its score.

    LlamaIndex sees this node and the node of its own index as one page.
    """
    page, image_path = ReadPage.of(hit), Path(store.place(hit.page_ref))
    document = page_document(page, image_path=image_path, extra_info=hit.metadata)
    return NodeWithScore(node=image_node(document, node_id=page.page_id), score=hit.score)


def found_page(
    node: BaseNode, *, score: float | None = None, with_image: bool = False
) -> FoundPage:
    """The page of a node of any retriever; ``page_ref`` is None if the node is not a page.

    Args:
        node: A node of any retriever.
        score: Score of the hit.
        with_image: Open the image of a node that has no page reference.

    Raises:
        OptionError: ``with_image``, and an image node has no image or only a URL.
        PageError: The image cannot be opened.
    """
    image = node_image(node) if with_image and page_ref_among(node.metadata) is None else None
    return FoundPage.of_metadata(
        node.metadata, text=node.get_content(), score=score, document_id=node.node_id, image=image
    )


def given_page(node: BaseNode) -> GivenPage:
    """The page of a page Document or page node, to be put into an index.

    Raises:
        OptionError: The node is not a page, or its metadata names another page.
    """
    facts = node.metadata
    ref = page_ref_among(facts)
    number, source = facts.get("page_number"), facts.get("source")
    is_page = isinstance(node, Document | ImageNode) and ref is not None
    if not is_page or not isinstance(number, int) or not isinstance(source, str):
        raise OptionError(
            f"{type(node).__name__} {node.node_id} is not a page; give Documents of PDFPageReader "
            f"or nodes of PDFPageNodeParser, with their source and page_number."
        )
    if facts.get(PAGE_ID_KEY) != page_id(source, number):
        raise OptionError(
            f"{source} page {number}: its metadata keys 'source', 'page_number' and 'page_id' do "
            f"not belong together, so two pages may be taken for one; rename your own key."
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
            warnings=warnings_among(facts),
        ),
        metadata={key: value for key, value in facts.items() if key not in _FACTS},
    )
