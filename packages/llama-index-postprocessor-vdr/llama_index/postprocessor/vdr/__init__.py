"""The node postprocessors of vdr-integrations, where LlamaIndex users look for them."""

from __future__ import annotations

from vdr_integrations.llama_index import (
    ColQwen2Rerank,
    LateInteractionRerank,
    PagePicturePostprocessor,
    PageTextPostprocessor,
    page_texts,
)

__all__ = [
    "ColQwen2Rerank",
    "LateInteractionRerank",
    "PagePicturePostprocessor",
    "PageTextPostprocessor",
    "page_texts",
]
