"""Result and progress of a synchronisation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vdr_integrations.errors import PageError

__all__ = ["SyncFailure", "SyncProgress", "SyncReport", "SyncWarning"]


@dataclass(frozen=True, slots=True)
class SyncFailure:
    """A document, or one page of it, that is not in the index.

    Attributes:
        source: Name of the document.
        page_number: 1-based; None if the whole document failed.
        error: The reason; its message names the document and the page. It has no traceback, which
            would hold kilobytes for each page.
    """

    source: str
    page_number: int | None
    error: PageError


@dataclass(frozen=True, slots=True)
class SyncWarning:
    """What is missing or wrong in the image of a page that is in the index.

    Attributes:
        source: Name of the document.
        page_number: 1-based.
        message: One sentence, which names neither document nor page.
    """

    source: str
    page_number: int
    message: str


@dataclass(slots=True)
class SyncReport:
    """What :func:`sync_index` did, document by document, in the order of processing.

    Attributes:
        added: Documents that were new. A file that was moved or renamed is new under its new name,
            but its pages are copied and not encoded again.
        changed: Documents whose file has other bytes than before.
        unchanged: Documents that were left as they are.
        removed: Documents that were removed, because the file is gone, was found under another
            name, or cannot be read as a document any more.
        missing: Documents whose file cannot be found, and that stay, because the file may be back
            later: the folder above it is empty, or a given path does not exist or cannot be listed.
            Perhaps a disk is not mounted. ``sync_index(drop_missing=True)`` removes them.
        failed: Documents and pages that are not in the index. A page that failed in an earlier
            run is listed again as long as its document does not change. One that exceeded a limit
            is tried again when the limits are higher.
        warnings: Of pages that are in the index. They are listed again as long as the document does
            not change.
        troubles: What went wrong with this run although no page is missing for it: a device that
            was lost, whose pages went to the others.
        pages_encoded: Number of pages that were encoded; copied pages do not count.
        pages_kept: Number of pages of added and changed documents that an earlier run had encoded
            before it was interrupted. They were not encoded again.
    """

    added: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])
    failed: list[SyncFailure] = field(default_factory=list[SyncFailure])
    warnings: list[SyncWarning] = field(default_factory=list[SyncWarning])
    troubles: list[str] = field(default_factory=list[str])
    pages_encoded: int = 0
    pages_kept: int = 0

    @property
    def indexed(self) -> int:
        """Number of documents under the given paths that are in the index now."""
        return len(self.added) + len(self.changed) + len(self.unchanged)


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """Progress of a synchronisation.

    Attributes:
        documents_done: Number of documents that are finished.
        documents_total: Number of documents that were found.
        pages_encoded: Number of pages that were encoded.
        source: The current document.
        pages_done: Number of pages that are encoded, were encoded by an earlier run that was
            interrupted, or failed. Pages of unchanged documents do not count.
        pages_total: Number that ``pages_done`` will have in the end; None if nothing is known about
            it. It is exact when all files are open; files that are not open yet are estimated.
    """

    documents_done: int
    documents_total: int
    pages_encoded: int
    source: str
    pages_done: int = 0
    pages_total: int | None = None
