"""The reader and the node parser of vdr-integrations, where LlamaIndex users look for them."""

from __future__ import annotations

from vdr_integrations.llama_index import (
    PDFPageNodeParser,
    PDFPageReader,
)

__all__ = [
    "PDFPageNodeParser",
    "PDFPageReader",
]
