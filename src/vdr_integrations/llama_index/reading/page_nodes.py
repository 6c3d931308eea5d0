"""A page in LlamaIndex: as a Document, and as the node made from the Document.

Stores and indexes restore nodes by class name, so both are LlamaIndex's own classes. Templates and
excluded metadata keys make the content of every mode right: EMBED is only the page reference; LLM
and NONE are the citation and the text layer, and an ``ImageNode`` adds the page's image to its
content blocks for LLM.

A citation is ``report.pdf, page iv (4 of 12)``. It distinguishes two blank pages of a document:
LlamaIndex compares image nodes by image path and text only.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from llama_index.core.schema import BaseNode, Document, ImageNode, MediaResource, NodeRelationship

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vdr_integrations.retrieval.pages_into_store import ReadPage

__all__ = [
    "CITATION_KEY",
    "PAGE_KEY",
    "TEXT_KEY",
    "image_node",
    "page_document",
    "page_node_id",
]

PAGE_KEY = "page_ref"
"""Metadata key of the page reference; EMBED content shows no other key."""

CITATION_KEY = "citation"
TEXT_KEY = "page_text"
"""Metadata keys of citation and text layer; the LLM content of nodes shows no other keys.

The content blocks of an image node hold its metadata, but not its text.
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

    Its id depends on the document and the page number, its hash on the image and the text: in an
    ``IngestionPipeline`` with UPSERTS a changed page replaces only its own old version.

    Args:
        page: A page whose image is in the store.
        image_path: The PNG in the store.
        extra_info: More metadata; may replace ``file_path`` (``source`` follows) and ``file_name``.
    """
    facts, extra = page.facts, extra_info or {}
    names = {"file_name": facts.pop("file_name"), "file_path": page.source}
    metadata: dict[str, Any] = {
        **facts,
        **names,
        **extra,
        **facts,
        "source": extra.get("file_path", page.source),
        CITATION_KEY: page.citation,
        TEXT_KEY: page.text,
    }
    return Document(
        id_=str(uuid.uuid5(_NAMESPACE, json.dumps([page.source, page.page_number]))),
        text=f"{page.citation}{_BETWEEN}{page.text}".strip(),
        image_resource=MediaResource(path=image_path, mimetype="image/png"),
        metadata=metadata,
        excluded_embed_metadata_keys=[key for key in metadata if key != PAGE_KEY],
        excluded_llm_metadata_keys=list(metadata),
        metadata_template=_METADATA_TEMPLATE,
        text_template=_TEXT_TEMPLATE,
    )


def image_node(document: Document, *, node_id: str) -> ImageNode:
    """The node of a page's Document, with all metadata that the Document has now.

    Raises:
        OptionError: The Document has no image path any more.
    """
    resource = document.image_resource
    if resource is None or resource.path is None:
        raise OptionError(
            f"Document {document.doc_id} has a page reference but no image path; read the PDF "
            f"again with PDFPageReader."
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
    """The id of the ``i``-th node of a Document: a UUID, the same in every run."""
    return str(uuid.uuid5(_NAMESPACE, json.dumps([doc.node_id, i])))
