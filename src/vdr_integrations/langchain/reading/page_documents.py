"""A page in LangChain: as a document that is embedded, and as a text that is read."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document

from vdr_integrations.retrieval.page_metadata import CITATION_KEY, TEXT_KEY, page_ref_among

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vdr_integrations.retrieval.page_metadata import ReadPage

__all__ = ["page_document", "page_key", "page_texts"]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "vdr-integrations:langchain")


def page_document(
    page: ReadPage, *, include_text: bool = True, metadata: Mapping[str, Any] | None = None
) -> Document:
    """The document of one page, the same from a loader, a vector store and a retriever.

    Its id depends only on the source and the page number, so a changed page replaces the old one.

    Args:
        page: A page whose image is in the store.
        include_text: Put the text layer into ``metadata["page_text"]``.
        metadata: More keys; they never replace those of the page.
    """
    # LangChain's own PDF loaders count "page" from 0.
    described = {**(metadata or {}), **page.facts, "page": page.page_number - 1}
    if not include_text:
        del described[TEXT_KEY]
    return Document(page_content=page.page_ref, metadata=described, id=page.page_id)


def page_texts(documents: Iterable[Document]) -> list[Document]:
    """Copies of page documents whose ``page_content`` is their citation and text layer.

    For whatever reads text: prompts, text rerankers, BM25. Only vector stores with
    :class:`VDREmbeddings` need the reference, which is still in the metadata. Documents that are
    no pages are returned unchanged.

    Example:
        >>> retriever | page_texts  # doctest: +SKIP
    """
    return [_text_document(document) for document in documents]


def page_key(document: Document) -> str:
    """Key encoder for LangChain's ``index()``: a UUID of the content and all metadata.

        index(loader, record_manager, store, cleanup="scoped_full", source_id_key="source",
              key_encoder=page_key)

    Use ``cleanup="scoped_full"``. LangChain processes 100 documents at a time, and
    ``"incremental"`` cleans up after each 100: of a file with more pages it deletes those that
    follow, and embeds them again, in every run. LangChain's own encoders either use SHA-1, and
    warn, or make ids that are not UUIDs, which Qdrant refuses.

    Raises:
        TypeError: Metadata that JSON cannot hold.
    """
    content = [document.page_content, document.metadata]
    return str(uuid.uuid5(_NAMESPACE, json.dumps(content, sort_keys=True)))


def _text_document(document: Document) -> Document:
    metadata = document.metadata
    if page_ref_among(metadata) is None:
        return document
    texts = (str(metadata.get(key) or "").strip() for key in (CITATION_KEY, TEXT_KEY))
    content = "\n\n".join(text for text in texts if text)
    return document.model_copy(update={"page_content": content})
