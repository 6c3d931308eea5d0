"""All of ``vdr_integrations.langchain``, under a name that LangChain users look for."""

from __future__ import annotations

from vdr_integrations.langchain import (
    ColQwen2Compressor,
    ColQwen2Retriever,
    LateInteractionCompressor,
    LateInteractionRetriever,
    PDFPageBlobParser,
    PDFPageLoader,
    VDREmbeddings,
    VisualDocumentSearchTool,
    page_blocks,
    page_image_block,
    page_key,
    page_texts,
    without_old_pictures,
)

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
