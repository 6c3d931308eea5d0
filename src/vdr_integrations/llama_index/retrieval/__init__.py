"""Late interaction for LlamaIndex: a retriever and a reranker."""

from vdr_integrations.llama_index.retrieval.reranker import ColQwen2Rerank
from vdr_integrations.llama_index.retrieval.retriever import ColQwen2Retriever

__all__ = ["ColQwen2Rerank", "ColQwen2Retriever"]
