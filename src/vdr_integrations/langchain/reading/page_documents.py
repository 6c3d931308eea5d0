"""LangChain documents of PDF pages: what they hold, and what identifies them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vdr_integrations.retrieval.page_reading import ReadPage

__all__ = ["page_document", "page_key"]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "vdr-integrations:langchain")


def page_document(
    page: ReadPage, *, include_text: bool, metadata: Mapping[str, Any] | None = None
) -> Document:
    """The document of one page.

    Its id depends on the source and the page number only, so a changed page replaces what it was.

    Args:
        page: Its image is in the store.
        include_text: Put the text layer into ``metadata["text"]``.
        metadata: More keys; those of the page win.
    """
    # 0-based, as LangChain's own PDF loaders count.
    described = {**(metadata or {}), **page.facts, "page": page.page_number - 1}
    if include_text:
        described["text"] = page.text
    place = uuid.uuid5(_NAMESPACE, json.dumps([page.source, page.page_number]))
    return Document(page_content=page.page_ref, metadata=described, id=str(place))


def page_key(document: Document) -> str:
    """Key encoder for LangChain's ``index()``: a UUID of the content and all metadata.

        index(loader, record_manager, store, cleanup="incremental", source_id_key="source",
              key_encoder=page_key)

    The built-in encoders either use SHA-1, and warn, or give ids that are not UUIDs, which Qdrant
    refuses.

    Raises:
        TypeError: Metadata that JSON cannot hold.
    """
    content = [document.page_content, document.metadata]
    return str(uuid.uuid5(_NAMESPACE, json.dumps(content, sort_keys=True)))
