"""Late interaction: many vectors a page, in a folder or on a Qdrant server."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdr_integrations.index.late_interaction.compression import Compression
    from vdr_integrations.index.late_interaction.filters import PageFilter
    from vdr_integrations.index.late_interaction.index import LateInteractionIndex
    from vdr_integrations.index.late_interaction.points import StoredPage, page_id
    from vdr_integrations.index.late_interaction.qdrant_server import QdrantServer
    from vdr_integrations.index.late_interaction.writing import StagedDocument

__all__ = [
    "Compression",
    "LateInteractionIndex",
    "PageFilter",
    "QdrantServer",
    "StagedDocument",
    "StoredPage",
    "page_id",
]

_HOMES = {
    "Compression": "compression",
    "LateInteractionIndex": "index",
    "PageFilter": "filters",
    "QdrantServer": "qdrant_server",
    "StagedDocument": "writing",
    "StoredPage": "points",
    "page_id": "points",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562; a worker process imports one module
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
