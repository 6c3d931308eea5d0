"""Puts pages whose images are in a page store into an index, document by document."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import OptionError
from vdr_integrations.index.records import NO_FILE, DocumentRecord, PageRecord
from vdr_integrations.index.stored_page import page_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vdr_integrations.index.late_interaction_index import LateInteractionIndex
    from vdr_integrations.index.staged_document import StagedDocument
    from vdr_integrations.index.stored_page import StoredPage
    from vdr_integrations.index.sync.page_encoding import PageEncoding
    from vdr_integrations.pages import PageStore

__all__ = ["GivenPage", "PageIngest"]


@dataclass(frozen=True, slots=True)
class GivenPage:
    """A page that a caller puts into an index.

    Attributes:
        source: Name of the document.
        total_pages: Number of pages of the document.
        record: The page, with the reference of its image.
        metadata: Metadata of the caller, JSON-able.
    """

    source: str
    total_pages: int
    record: PageRecord
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def page_id(self) -> str:
        """Id of the page in an index."""
        return page_id(self.source, self.record.page_number)

    def is_same(self, stored: StoredPage | None) -> bool:
        """Whether the stored page is identical, apart from its vectors."""
        record = self.record
        return stored is not None and (
            (stored.page_ref, stored.page_label, stored.text, stored.warnings)
            == (record.page_ref, record.page_label, record.text, record.warnings)
            and (stored.total_pages, stored.metadata) == (self.total_pages, self.metadata)
        )


@dataclass(frozen=True, slots=True)
class PageIngest:
    """Puts pages into an index.

    Attributes:
        index: The index to write to.
        encoding: Encodes with the encoder that made the index; with both if it holds dense vectors
            too.
        store: Store of the pages' images.
        batch_pages: Number of pages in memory at a time.
    """

    index: LateInteractionIndex
    encoding: PageEncoding
    store: PageStore
    batch_pages: int

    def add(
        self, given: Sequence[GivenPage], *, on_document: Callable[[int], object] | None = None
    ) -> None:
        """Add pages; a page that is already in the index, unchanged, is left alone.

        Other pages of the document stay, up to its number of pages. Each document is committed as
        a whole.

        Args:
            given: Pages in any order.
            on_document: Called after each document, with the number of its given pages.

        Raises:
            OptionError: One page with two images.
            PageReferenceError: An image is not in the store.
            PageStoreError: The store cannot be read.
            EncodingError: The encoder failed; finished documents are in the index.
        """
        self.index.check_takes_documents()
        documents: dict[str, dict[int, GivenPage]] = {}
        for page in given:
            pages, number = documents.setdefault(page.source, {}), page.record.page_number
            if pages.setdefault(number, page).record.page_ref != page.record.page_ref:
                raise OptionError(
                    f"{page.source} page {number} is given twice, with two images; give only the "
                    f"newer one."
                )
            pages[number] = page
        for source, pages in documents.items():
            self._add_document(source, pages)
            if on_document is not None:
                on_document(len(pages))

    def _add_document(self, source: str, given: dict[int, GivenPage]) -> None:
        with self.index.writing():
            stored = {page.page_number: page for page in self.index.pages({"source": source})}
            if all(page.is_same(stored.get(number)) for number, page in given.items()):
                return
            total = next(reversed(given.values())).total_pages
            numbers = {number for number in stored if number <= total} | given.keys()
            pages = [
                given[number] if number in given else _kept(stored[number], total)
                for number in sorted(numbers)
            ]
            staged = self.index.stage_document(source)
            try:
                for start in range(0, len(pages), self.batch_pages):
                    self._stage(staged, pages[start : start + self.batch_pages])
                staged.commit(DocumentRecord(source, file=NO_FILE, total_pages=total))
            except BaseException:
                staged.discard()
                raise

    def _stage(self, staged: StagedDocument, batch: Sequence[GivenPage]) -> None:
        held: dict[int, StoredPage] = {}
        kept = self.index.compression
        # Pooled vectors would be pooled again, and 8-bit vectors rounded again.
        if kept.token_pooling == 1 and kept.vectors != "int8":
            ids = [page.page_id for page in batch]
            held = {page.page_number: page for page in self.index.get(ids, with_vectors=True)}
        new: list[GivenPage] = []
        for page in batch:
            known = held.get(page.record.page_number)
            if known is None or known.vectors is None or known.page_ref != page.record.page_ref:
                new.append(page)
                continue
            record = replace(page.record, grid=known.grid)
            staged.add(record, known.vectors, dense=known.dense, metadata=page.metadata)
        self._stage_new(staged, new)

    def _stage_new(self, staged: StagedDocument, pages: Sequence[GivenPage]) -> None:
        if not pages:
            return
        for page in pages:  # before the index names them, nobody may remove them as unneeded
            self.store.renew(page.record.page_ref)
        images = [self.store.get(page.record.page_ref) for page in pages]
        for page, encoded in zip(pages, self.encoding.encode(images), strict=True):
            record = replace(page.record, grid=encoded.grid)
            staged.add(record, encoded.vectors, dense=encoded.dense, metadata=page.metadata)


def _kept(page: StoredPage, total_pages: int) -> GivenPage:
    return GivenPage(page.source, total_pages, page.record, page.metadata)
