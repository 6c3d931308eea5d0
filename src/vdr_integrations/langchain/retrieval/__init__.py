"""Late interaction: a retriever and a reranker."""
