"""The embedding of vdr-integrations, where LlamaIndex users look for it."""

from __future__ import annotations

from vdr_integrations.llama_index import VDREmbedding

__all__ = ["VDREmbedding"]
