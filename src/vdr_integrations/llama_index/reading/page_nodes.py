"""A page in LlamaIndex: as a Document, and as the node made from the Document.

Stores and indexes restore nodes by class name, so both are LlamaIndex's own classes. Templates and
excluded metadata keys make the content of every mode right: EMBED is only the page reference; LLM
and NONE are the citation and the text layer, and an ``ImageNode`` adds the page's image to its
content blocks for LLM.

A Document is an ``ImageDocument``, and its text is only the citation, ``report.pdf, page iv (4 of
12)``. So LlamaIndex's own splitters make one image node of it too, with the same embedding; they
give it a random id, and no text layer. The citation distinguishes two blank pages of a document:
LlamaIndex compares image nodes by image path and text only.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    MediaResource,
    NodeRelationship,
)

from vdr_integrations.errors import OptionError
from vdr_integrations.retrieval.page_metadata import (
    CITATION_KEY,
    PAGE_ID_KEY,
    PAGE_KEY,
    TEXT_KEY,
    page_ref_among,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vdr_integrations.retrieval.page_metadata import ReadPage

__all__ = ["image_node", "page_document", "page_node_id", "readable_node"]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "vdr-integrations:llama-index")

# Only the value, so that EMBED content is a reference from its first to its last character.
_METADATA_TEMPLATE = "{value}"
_TEXT_TEMPLATE = "{metadata_str}"
_BETWEEN = "\n\n"
_READABLE = (CITATION_KEY, TEXT_KEY)

_NodeT = TypeVar("_NodeT", bound=BaseNode)


def page_document(
    page: ReadPage, *, image_path: Path, extra_info: Mapping[str, Any] | None = None
) -> ImageDocument:
    """The Document of one page.

    Its id depends on the document and the page number, its hash on the image and the text: in an
    ``IngestionPipeline`` with UPSERTS a changed page replaces only its own old version.

    Args:
        page: A page whose image is in the store.
        image_path: The PNG in the store.
        extra_info: More metadata; never replaces that of the page.
    """
    facts = page.facts
    metadata: dict[str, Any] = {**facts, "file_path": page.source, **(extra_info or {}), **facts}
    return ImageDocument(
        id_=str(uuid.uuid5(_NAMESPACE, json.dumps([page.source, page.page_number]))),
        text=page.citation,
        image_resource=MediaResource(path=image_path, mimetype="image/png"),
        metadata=metadata,
        excluded_embed_metadata_keys=[key for key in metadata if key != PAGE_KEY],
        excluded_llm_metadata_keys=list(metadata),
        metadata_template=_METADATA_TEMPLATE,
        text_template=_TEXT_TEMPLATE,
    )


def image_node(document: Document, *, node_id: str, made_from: BaseNode | None = None) -> ImageNode:
    """The node of a page's Document, with all metadata that the Document has now.

    Args:
        document: What :func:`page_document` made.
        node_id: Id of the node.
        made_from: The node's source document; None if it is ``document``.

    Raises:
        OptionError: The Document has no image path any more.
    """
    resource = document.image_resource
    if resource is None or resource.path is None:
        raise OptionError(
            f"Document {document.doc_id} has a page reference but no image path; read the file "
            f"again with PDFPageReader."
        )
    metadata = document.metadata
    texts = [text for key in _READABLE if (text := str(metadata.get(key) or "").strip())]
    return ImageNode(
        id_=node_id,
        text=_BETWEEN.join(texts) or document.text,
        image_path=str(resource.path),
        image_mimetype=resource.mimetype,
        embedding=document.embedding,
        metadata=metadata,
        excluded_embed_metadata_keys=[key for key in metadata if key != PAGE_KEY],
        excluded_llm_metadata_keys=[key for key in metadata if key not in _READABLE],
        metadata_template=_METADATA_TEMPLATE,
        metadata_separator=_BETWEEN,
        text_template=_TEXT_TEMPLATE,
        relationships={NodeRelationship.SOURCE: (made_from or document).as_related_node_info()},
    )


def readable_node(node: _NodeT) -> _NodeT:
    """A copy of a page's node whose EMBED content is what a language model reads; others as is."""
    if page_ref_among(node.metadata) is None:
        return node
    hidden = [key for key in node.metadata if key not in _READABLE]
    return node.model_copy(update={"excluded_embed_metadata_keys": hidden})


def page_node_id(i: int, doc: BaseNode) -> str:
    """The id of the node of a page: that of the page in every index, the same in every run."""
    found = doc.metadata.get(PAGE_ID_KEY)
    if isinstance(found, str):
        return found
    return str(uuid.uuid5(_NAMESPACE, json.dumps([doc.node_id, i])))
