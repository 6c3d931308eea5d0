"""The retriever and the agent tool of vdr-integrations, where LlamaIndex users look for them."""

from __future__ import annotations

from vdr_integrations.llama_index import (
    ColQwen2Retriever,
    LateInteractionRetriever,
    VisualDocumentSearchTool,
    without_old_pictures,
)

__all__ = [
    "ColQwen2Retriever",
    "LateInteractionRetriever",
    "VisualDocumentSearchTool",
    "without_old_pictures",
]
