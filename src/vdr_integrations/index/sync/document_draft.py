"""A document while its pages are drawn, encoded and written into the index."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vdr_integrations.errors import PageError, PageLimitError
from vdr_integrations.index.records import DocumentRecord, FileState, PageRecord, SkippedPage
from vdr_integrations.index.sync.frameless_errors import without_frames
from vdr_integrations.pages.open_document import open_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vdr_integrations.index.staged_document import PreparedPage, StagedDocument
    from vdr_integrations.index.sync.page_encoding import EncodedPage
    from vdr_integrations.index.unfinished.unfinished_documents import Keeper, UnfinishedDocuments
    from vdr_integrations.pages.drawing.drawn_page import DrawnPage
    from vdr_integrations.pages.process_limits import ProcessLimits
    from vdr_integrations.pages.processes.process_pool import Lane
    from vdr_integrations.types import PageImage, PixelBudget

__all__ = ["Draft"]


@dataclass(slots=True, eq=False)
class Draft:
    """What is known about a document while its pages are drawn and encoded.

    Attributes:
        source: Name of the document in the index.
        path: Path of the file.
        file: The file's state, read before the document was opened.
        replaces: Whether the index holds an older version.
        process_limits: Limits of the processes that open and draw it; None draws it in this one.
        sink: Receives its pages when they are encoded.
        total_pages: Number of pages of the document.
        errors: Why pages are left out, by page number.
        warnings: Warnings of the pages that were written to the sink, by page number.
        encoded: Numbers of the pages that were written to the sink.
        records: Records of pages that were drawn and are not encoded yet, by page number.
        unkept: Pages that were written to the sink, and are not kept for the next run yet.
        pages_kept: Number of pages that an earlier run had kept.
        keeper: Keeps pages for the next run; None before the document is open, and after its file
            has changed.
        is_rendered: Whether all pages were handed out for drawing.
        is_withdrawn: Whether the document turned out to be unusable.
    """

    source: str
    path: Path
    file: FileState
    replaces: bool
    process_limits: ProcessLimits | None
    sink: StagedDocument
    total_pages: int = 0
    errors: dict[int, PageError] = field(default_factory=dict[int, PageError])
    warnings: dict[int, tuple[str, ...]] = field(default_factory=dict[int, tuple[str, ...]])
    encoded: set[int] = field(default_factory=set[int])
    records: dict[int, PageRecord] = field(default_factory=dict[int, PageRecord])
    unkept: list[PreparedPage] = field(default_factory=list["PreparedPage"])
    pages_kept: int = 0
    keeper: Keeper | None = None
    is_rendered: bool = False
    is_withdrawn: bool = False

    @property
    def pages_done(self) -> int:
        """Number of pages that are encoded or have an error."""
        return len(self.encoded) + len(self.errors)

    @property
    def is_complete(self) -> bool:
        """Whether each page is encoded or has an error."""
        return self.is_rendered and self.pages_done == self.total_pages

    def render(
        self,
        budget: PixelBudget,
        *,
        password: str | None,
        lane: Lane,
        unfinished: UnfinishedDocuments,
    ) -> Iterator[tuple[int, Callable[[], DrawnPage]]]:
        """Page numbers, each with a function that returns the page or raises PageError.

        Pages that an earlier run has kept are written to the sink, and not drawn again.

        Raises:
            PageError: The document as a whole is unusable.
        """
        with open_document(
            self.path, name=self.source, password=password, process_limits=self.process_limits
        ) as pages:
            self.total_pages = len(pages)
            self._go_on(unfinished, budget)
            for page_number, page in enumerate(pages, start=1):
                if page_number not in self.encoded:
                    yield page_number, page.begin(budget, lane=lane)
        self.is_rendered = True

    def receive(self, page_number: int, drawn: Callable[[], DrawnPage]) -> PageImage | None:
        """Wait for a page and keep its record; None if the page cannot be drawn."""
        try:
            page = drawn()
        except PageError as error:
            self.errors[page_number] = without_frames(error)
            return None
        self.records[page_number] = PageRecord(
            page_number,
            page_label=page.page_label,
            page_ref=str(page.image.ref),
            text=page.text,
            warnings=page.warnings,
        )
        return page.image

    def take(self, page_number: int, page: EncodedPage) -> None:
        """Write an encoded page to the sink."""
        record = replace(self.records.pop(page_number), grid=page.grid)
        self.unkept.append(self.sink.add(record, page.vectors, dense=page.dense))
        self.warnings[page_number] = record.warnings
        self.encoded.add(page_number)

    def keep_pages(self) -> None:
        """Keep the newest pages for the next run, unless the document is complete now."""
        pages, self.unkept = self.unkept, []
        if self.keeper is None or self.pages_done == self.total_pages or not pages:
            return
        if self._is_file_the_same():
            self.keeper.keep(pages)
        else:  # its pages may be those of two versions
            self.keeper.remove()
            self.keeper = None

    def commit(self) -> None:
        """Commit the completely encoded document to the index."""
        document = DocumentRecord(
            source=self.source,
            file=self.file,
            total_pages=self.total_pages,
            skipped=tuple(
                _skipped(number, error, self.process_limits)
                for number, error in sorted(self.errors.items())
            ),
        )
        self.sink.commit(document)
        if self.keeper is not None:
            self.keeper.remove()

    def _go_on(self, unfinished: UnfinishedDocuments, budget: PixelBudget) -> None:
        """Write the pages to the sink that an earlier run has kept."""
        self.keeper = unfinished.keeper(
            self.source, self.file, total_pages=self.total_pages, drawn_for=budget
        )
        for page in self.keeper.pages():
            number = page.record.page_number
            self.sink.add_prepared(page)
            self.warnings[number] = page.record.warnings
            self.encoded.add(number)
        self.pages_kept = len(self.encoded)

    def _is_file_the_same(self) -> bool:
        """Whether the file looks as it did when its bytes were read."""
        try:
            status = self.path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.file.size_bytes, self.file.modified_ns)


def _skipped(number: int, error: PageError, limits: ProcessLimits | None) -> SkippedPage:
    """The record of a page that is left out; with the limits, if it did not keep them."""
    if limits is None or not isinstance(error, PageLimitError):
        return SkippedPage(number, error.reason)
    return SkippedPage(number, error.reason, limits.memory_mb, limits.page_timeout_s)
