"""LangChain documents of PDF pages: their content, and what identifies them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdr_integrations.retrieval.pages_into_store import ReadPage

__all__ = ["page_document", "page_key"]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "vdr-integrations:langchain")


def page_document(
    page: ReadPage, *, include_text: bool, metadata: Mapping[str, Any] | None = None
) -> Document:
    """The document of one page.

    Its id depends only on the source and the page number, so a changed page replaces the old one.

    Args:
        page: A page whose image is in the store.
        include_text: Put the text layer into ``metadata["text"]``.
        metadata: More keys; they never replace those of the page.
    """
    # LangChain's own PDF loaders count "page" from 0.
    described = {**(metadata or {}), **page.facts, "page": page.page_number - 1}
    if include_text:
        described["text"] = page.text
    place = uuid.uuid5(_NAMESPACE, json.dumps([page.source, page.page_number]))
    return Document(page_content=page.page_ref, metadata=described, id=str(place))


def page_key(document: Document) -> str:
    """Key encoder for LangChain's ``index()``: a UUID of the content and all metadata.

        index(loader, record_manager, store, cleanup="incremental", source_id_key="source",
              key_encoder=page_key)

    LangChain's own encoders either use SHA-1, and warn, or make ids that are not UUIDs, which
    Qdrant refuses.

    Raises:
        TypeError: Metadata that JSON cannot hold.
    """
    content = [document.page_content, document.metadata]
    return str(uuid.uuid5(_NAMESPACE, json.dumps(content, sort_keys=True)))
