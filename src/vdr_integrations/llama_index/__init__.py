"""Visual document retrieval for LlamaIndex.

    from llama_index.core import VectorStoreIndex
    from vdr_integrations.llama_index import PDFPageNodeParser, PDFPageReader, VDREmbedding

    index = VectorStoreIndex.from_documents(
        PDFPageReader().load_data("report.pdf"),
        transformations=[PDFPageNodeParser()],
        embed_model=VDREmbedding(model_name="nano"),
    )
    pages = index.as_retriever(similarity_top_k=3).retrieve("How did revenue change?")

A page becomes an ``ImageNode`` whose EMBED content is a page reference, so that indexes, ingestion
pipelines and their caches embed the image of the page. A query engine made with
``RetrieverQueryEngine.from_args(retriever, llm=..., multimodal=True)`` shows the images of the
pages to the language model; on another machine than the one that read them, give it a
:class:`PagePicturePostprocessor`. Parts that read text need :func:`page_texts`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import MissingExtraError

try:
    importlib.import_module("llama_index.core")
except ModuleNotFoundError as error:
    if error.name not in {"llama_index", "llama_index.core"}:  # a dependency of it is missing
        raise
    raise MissingExtraError(
        package="llama-index-core", extra="llama-index", purpose="vdr_integrations.llama_index"
    ) from error

from vdr_integrations.llama_index.agent.old_pictures import without_old_pictures
from vdr_integrations.llama_index.embedding.vdr_embedding import VDREmbedding
from vdr_integrations.llama_index.reading.page_node_parser import PDFPageNodeParser
from vdr_integrations.llama_index.reading.pdf_page_reader import PDFPageReader
from vdr_integrations.llama_index.retrieval.page_postprocessors import (
    PagePicturePostprocessor,
    PageTextPostprocessor,
    page_texts,
)
from vdr_integrations.llama_index.retrieval.reranker import ColQwen2Rerank, LateInteractionRerank
from vdr_integrations.llama_index.retrieval.retriever import (
    ColQwen2Retriever,
    LateInteractionRetriever,
)

if TYPE_CHECKING:
    from vdr_integrations.llama_index.agent.tool import VisualDocumentSearchTool

__all__ = [
    "ColQwen2Rerank",
    "ColQwen2Retriever",
    "LateInteractionRerank",
    "LateInteractionRetriever",
    "PDFPageNodeParser",
    "PDFPageReader",
    "PagePicturePostprocessor",
    "PageTextPostprocessor",
    "VDREmbedding",
    "VisualDocumentSearchTool",
    "page_texts",
    "without_old_pictures",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562; only agents need tools
    if name != "VisualDocumentSearchTool":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.agent.tool").VisualDocumentSearchTool
