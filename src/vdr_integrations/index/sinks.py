"""Where the pages of a document go while it is encoded, in an index of either kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from vdr_integrations.index.manifest import Manifest
    from vdr_integrations.index.records import DocumentRecord, FileState, PageRecord

__all__ = ["PageIndex", "PageSink", "RecallIndex", "StagingIndex", "sink_for"]


class PageIndex(Protocol):
    """What ``sync_index`` asks of an index."""

    manifest: Manifest

    @property
    def path(self) -> Path | str:
        """What messages call the index."""
        ...

    def documents(self) -> list[DocumentRecord]:
        """All documents, by source."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Keep other writers out."""
        ...

    def add_document(
        self,
        document: DocumentRecord,
        pages: list[PageRecord],
        vectors: Any,  # noqa: ANN401  # an array of rows, or a matrix a page
    ) -> None:
        """Add or replace a document."""
        ...

    def remove_document(self, source: str) -> bool:
        """Remove a document; False if there was none."""
        ...

    def update_file_state(self, source: str, file: FileState) -> None:
        """Note that a document's file was looked at."""
        ...


class PageSink(Protocol):
    """Takes the pages of one document in any order; nothing is found before the commit."""

    def add(
        self,
        page: PageRecord,
        vectors: NDArray[np.float32],
        *,
        dense: NDArray[np.float32] | None = None,
    ) -> None:
        """Take a page; ``dense`` is its one vector beside those of its tokens."""
        ...

    def commit(self, document: DocumentRecord) -> None:
        """Put the document into the index."""
        ...

    def discard(self) -> None:
        """Forget the document."""
        ...


@runtime_checkable
class StagingIndex(Protocol):
    """An index that keeps the pages of an unfinished document itself, so that memory does not."""

    def stage_document(self, source: str) -> PageSink:
        """Begin a document."""
        ...


@runtime_checkable
class RecallIndex(Protocol):
    """An index that can keep a dense vector of each page beside those of its tokens."""

    dense_manifest: Manifest | None


def sink_for(index: PageIndex, source: str) -> PageSink:
    """Where the pages of a document go."""
    if isinstance(index, StagingIndex):
        return index.stage_document(source)
    return _Collected(index)


class _Collected:
    """Holds one vector a page until the document is complete: 6 KB a page."""

    def __init__(self, index: PageIndex) -> None:
        self._index = index
        self._pages: dict[int, tuple[PageRecord, NDArray[np.float32]]] = {}

    def add(
        self,
        page: PageRecord,
        vectors: NDArray[np.float32],
        *,
        dense: NDArray[np.float32] | None = None,
    ) -> None:
        if dense is not None:
            raise OptionError(
                f"{type(self._index).__name__} keeps one vector a page; leave dense out."
            )
        self._pages[page.page_number] = (page, vectors)

    def commit(self, document: DocumentRecord) -> None:
        pages, vectors = zip(*(self._pages[number] for number in sorted(self._pages)), strict=True)
        self._index.add_document(document, list(pages), np.stack(vectors))

    def discard(self) -> None:
        self._pages = {}
