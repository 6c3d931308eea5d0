"""A dense index on disk, and how it follows files and folders."""

from vdr_integrations.index.dense import DenseIndex
from vdr_integrations.index.manifest import Manifest
from vdr_integrations.index.records import DocumentRecord, FileState, PageRecord, SkippedPage
from vdr_integrations.index.report import SyncFailure, SyncProgress, SyncReport
from vdr_integrations.index.sync import sync_index

__all__ = [
    "DenseIndex",
    "DocumentRecord",
    "FileState",
    "Manifest",
    "PageRecord",
    "SkippedPage",
    "SyncFailure",
    "SyncProgress",
    "SyncReport",
    "sync_index",
]
