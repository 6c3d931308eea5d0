"""Late interaction for LlamaIndex, and found pages for its other parts."""

from vdr_integrations.llama_index.retrieval.page_postprocessors import (
    PagePicturePostprocessor,
    PageTextPostprocessor,
    page_texts,
)
from vdr_integrations.llama_index.retrieval.reranker import ColQwen2Rerank
from vdr_integrations.llama_index.retrieval.retriever import ColQwen2Retriever

__all__ = [
    "ColQwen2Rerank",
    "ColQwen2Retriever",
    "PagePicturePostprocessor",
    "PageTextPostprocessor",
    "page_texts",
]
