"""Indexes, dense and late-interaction, and how they follow files and folders."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdr_integrations.index.compression import Compression
    from vdr_integrations.index.dense_index import DenseIndex
    from vdr_integrations.index.hybrid import Hybrid, HybridQuery
    from vdr_integrations.index.late_interaction_index import LateInteractionIndex
    from vdr_integrations.index.manifest import Manifest
    from vdr_integrations.index.opening import open_index
    from vdr_integrations.index.question_bank import QuestionBank
    from vdr_integrations.index.records import (
        DocumentRecord,
        FileState,
        PageRecord,
        PageWarning,
        SkippedPage,
    )
    from vdr_integrations.index.scoring.maxsim import maxsim_score, maxsim_scores, similarity_grids
    from vdr_integrations.index.server.qdrant_server import QdrantServer
    from vdr_integrations.index.stored_page import StoredPage
    from vdr_integrations.index.sync.sync_report import (
        SyncFailure,
        SyncProgress,
        SyncReport,
        SyncWarning,
    )
    from vdr_integrations.index.sync.synchronise import sync_index
    from vdr_integrations.index.unfinished.unfinished_documents import UnfinishedPages

__all__ = [
    "Compression",
    "DenseIndex",
    "DocumentRecord",
    "FileState",
    "Hybrid",
    "HybridQuery",
    "LateInteractionIndex",
    "Manifest",
    "PageRecord",
    "PageWarning",
    "QdrantServer",
    "QuestionBank",
    "SkippedPage",
    "StoredPage",
    "SyncFailure",
    "SyncProgress",
    "SyncReport",
    "SyncWarning",
    "UnfinishedPages",
    "maxsim_score",
    "maxsim_scores",
    "open_index",
    "similarity_grids",
    "sync_index",
]

_HOMES = {
    "Compression": "compression",
    "DenseIndex": "dense_index",
    "DocumentRecord": "records",
    "FileState": "records",
    "Hybrid": "hybrid",
    "HybridQuery": "hybrid",
    "LateInteractionIndex": "late_interaction_index",
    "Manifest": "manifest",
    "PageRecord": "records",
    "PageWarning": "records",
    "QdrantServer": "server.qdrant_server",
    "QuestionBank": "question_bank",
    "SkippedPage": "records",
    "StoredPage": "stored_page",
    "SyncFailure": "sync.sync_report",
    "SyncProgress": "sync.sync_report",
    "SyncReport": "sync.sync_report",
    "SyncWarning": "sync.sync_report",
    "UnfinishedPages": "unfinished.unfinished_documents",
    "maxsim_score": "scoring.maxsim",
    "maxsim_scores": "scoring.maxsim",
    "open_index": "opening",
    "similarity_grids": "scoring.maxsim",
    "sync_index": "sync.synchronise",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562; a worker process imports one module
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
