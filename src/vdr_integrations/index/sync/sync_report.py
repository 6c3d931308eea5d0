"""What a synchronisation did and is doing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vdr_integrations.errors import PageError

__all__ = ["SyncFailure", "SyncProgress", "SyncReport"]


@dataclass(frozen=True, slots=True)
class SyncFailure:
    """A document, or one page of it, that is not in the index.

    Attributes:
        source: The document.
        page_number: 1-based; None when the whole document failed.
        error: Why; its message names the document and the page.
    """

    source: str
    page_number: int | None
    error: PageError


@dataclass(slots=True)
class SyncReport:
    """What :func:`sync_index` did, document by document; sources in the order they were met.

    Attributes:
        added: Documents that were new.
        changed: Documents that were encoded again.
        unchanged: Documents that were left as they are.
        removed: Documents that were dropped, because the file is gone or is no document any more.
        failed: Documents and pages that are not in the index. A page that failed in an earlier
            run is named again for as long as its document stays the same.
        pages_encoded: Pages that went through the model.
    """

    added: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    failed: list[SyncFailure] = field(default_factory=list[SyncFailure])
    pages_encoded: int = 0

    @property
    def indexed(self) -> int:
        """Documents under the given paths that are in the index now."""
        return len(self.added) + len(self.changed) + len(self.unchanged)


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """How far a synchronisation is.

    Attributes:
        documents_done: Documents that were looked at.
        documents_total: Documents that were found.
        pages_encoded: Pages that went through the model.
        source: The document in work.
    """

    documents_done: int
    documents_total: int
    pages_encoded: int
    source: str
