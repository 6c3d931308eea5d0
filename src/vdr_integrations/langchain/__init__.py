"""Visual document retrieval for LangChain.

    from langchain_core.vectorstores import InMemoryVectorStore
    from vdr_integrations.langchain import PDFPageLoader, VDREmbeddings

    store = InMemoryVectorStore(VDREmbeddings(model="nano"))
    store.add_documents(PDFPageLoader("report.pdf").load())
    pages = store.similarity_search("How did revenue change?", k=3)

A page becomes a ``Document`` whose ``page_content`` is a page reference, so every vector store,
``index()`` and retriever of LangChain embeds the image of the page. :func:`page_blocks` turns
documents into content blocks of a message, to show the pages to a chat model; :func:`page_texts`
into documents with the text layer, for what reads text. For late interaction
(one vector per token), use :class:`LateInteractionRetriever` over an index that ``vdr index
--late-interaction`` or ``sync_index`` made, and :class:`LateInteractionCompressor` to rerank:

    pages = LateInteractionRetriever(index="my-index", k=3).invoke("How did revenue change?")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import MissingExtraError

try:
    importlib.import_module("langchain_core")
except ModuleNotFoundError as error:
    if error.name != "langchain_core":  # a dependency of it is missing
        raise
    raise MissingExtraError(
        package="langchain-core", extra="langchain", purpose="vdr_integrations.langchain"
    ) from error

from vdr_integrations.langchain.agent.content_blocks import page_blocks, page_image_block
from vdr_integrations.langchain.agent.old_pictures import without_old_pictures
from vdr_integrations.langchain.embedding.vdr_embeddings import VDREmbeddings
from vdr_integrations.langchain.reading.page_documents import page_key, page_texts
from vdr_integrations.langchain.reading.pdf_page_blob_parser import PDFPageBlobParser
from vdr_integrations.langchain.reading.pdf_page_loader import PDFPageLoader
from vdr_integrations.langchain.retrieval.reranker import (
    ColQwen2Compressor,
    LateInteractionCompressor,
)
from vdr_integrations.langchain.retrieval.retriever import (
    ColQwen2Retriever,
    LateInteractionRetriever,
)

if TYPE_CHECKING:
    from vdr_integrations.langchain.agent.tool import VisualDocumentSearchTool

__all__ = [
    "ColQwen2Compressor",
    "ColQwen2Retriever",
    "LateInteractionCompressor",
    "LateInteractionRetriever",
    "PDFPageBlobParser",
    "PDFPageLoader",
    "VDREmbeddings",
    "VisualDocumentSearchTool",
    "page_blocks",
    "page_image_block",
    "page_key",
    "page_texts",
    "without_old_pictures",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562; only agents need tools
    if name != "VisualDocumentSearchTool":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.agent.tool").VisualDocumentSearchTool
