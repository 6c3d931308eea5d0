"""What a page looks like to LlamaIndex: as a Document, and as the node made of it.

Stores and indexes bring nodes back by class name, so these are LlamaIndex's own classes, and
templates and exclusions make every content mode right:

==========  ===============================  =========================================
mode        Document                         ImageNode
==========  ===============================  =========================================
EMBED       the page reference, alone        the page reference, alone
LLM         citation and text layer          citation and text layer, and in content blocks the
                                             page's image
NONE        citation and text layer          citation and text layer
==========  ===============================  =========================================

A citation is ``report.pdf, page iv (4 of 12)``. It keeps two blank pages of a document apart:
LlamaIndex compares image nodes by image path and text alone.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    MediaResource,
    NodeRelationship,
)

from vdr_integrations.errors import OptionError
from vdr_integrations.retrieval.found_page import page_ref_among

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vdr_integrations.retrieval.page_reading import ReadPage
    from vdr_integrations.types import PageRef

__all__ = [
    "CITATION_KEY",
    "PAGE_KEY",
    "TEXT_KEY",
    "cited_text",
    "image_node",
    "page_document",
    "page_node_id",
    "page_ref",
]

PAGE_KEY = "page_ref"
"""Metadata key of the page reference; the only one that EMBED content shows."""

CITATION_KEY = "citation"
TEXT_KEY = "page_text"
"""Metadata keys of citation and text layer; the only ones that LLM content of nodes shows.

The text of an image node is not among its content blocks: its metadata are.
"""

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "vdr-integrations:llama-index")

# Only the value, so that EMBED content is a reference from its first to its last character.
_METADATA_TEMPLATE = "{value}"
_TEXT_TEMPLATE = "{metadata_str}"
_BETWEEN = "\n\n"


def page_document(
    page: ReadPage, *, image_path: Path, extra_info: Mapping[str, Any] | None = None
) -> Document:
    """The Document of one page.

    Its id follows from the document and the page number, its hash from what the page shows and
    says: in an ``IngestionPipeline`` with UPSERTS a changed page replaces what it was, alone.

    Args:
        page: Its image is in the store.
        image_path: The PNG in the store.
        extra_info: More metadata; may replace ``file_path`` and ``file_name`` there.
    """
    facts = page.facts
    names = {name: facts.pop(name) for name in ("source", "file_name")}
    metadata: dict[str, Any] = {
        **facts,
        **names,
        "file_path": page.source,
        **(extra_info or {}),
        **facts,
        CITATION_KEY: page.citation,
        TEXT_KEY: page.text,
    }
    return Document(
        id_=str(uuid.uuid5(_NAMESPACE, json.dumps([page.source, page.page_number]))),
        text=cited_text(page.citation, page.text),
        image_resource=MediaResource(path=image_path, mimetype="image/png"),
        metadata=metadata,
        excluded_embed_metadata_keys=[key for key in metadata if key != PAGE_KEY],
        excluded_llm_metadata_keys=list(metadata),
        metadata_template=_METADATA_TEMPLATE,
        text_template=_TEXT_TEMPLATE,
    )


def image_node(document: Document, *, node_id: str) -> ImageNode:
    """The node of a page's Document, with all metadata that the Document has by now.

    Raises:
        OptionError: The Document has lost its image path.
    """
    resource = document.image_resource
    if resource is None or resource.path is None:
        raise OptionError(
            f"Document {document.doc_id} has a page reference and no image path; "
            f"read the PDF again with PDFPageReader."
        )
    metadata = document.metadata
    return ImageNode(
        id_=node_id,
        text=document.text,
        image_path=str(resource.path),
        image_mimetype=resource.mimetype,
        embedding=document.embedding,
        metadata=metadata,
        excluded_embed_metadata_keys=[key for key in metadata if key != PAGE_KEY],
        excluded_llm_metadata_keys=[key for key in metadata if key not in (CITATION_KEY, TEXT_KEY)],
        metadata_template=_METADATA_TEMPLATE,
        metadata_separator=_BETWEEN,
        text_template=_TEXT_TEMPLATE,
        relationships={NodeRelationship.SOURCE: document.as_related_node_info()},
    )


def page_node_id(i: int, doc: BaseNode) -> str:
    """The id of the ``i``-th node of a Document: the same in every run, and a UUID."""
    return str(uuid.uuid5(_NAMESPACE, json.dumps([doc.node_id, i])))


def page_ref(node: BaseNode) -> PageRef | None:
    """The reference among a node's metadata, or None."""
    return page_ref_among(node.metadata)


def cited_text(cited: str, text: str) -> str:
    """What a language model reads of a page: its citation and its text layer."""
    return f"{cited}{_BETWEEN}{text}".strip()
