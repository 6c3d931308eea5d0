"""A document while its pages are drawn, encoded and written into the index."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vdr_integrations.errors import PageError, PageLimitError
from vdr_integrations.index.records import DocumentRecord, FileState, PageRecord, SkippedPage
from vdr_integrations.pages.open_document import open_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vdr_integrations.index.staged_document import StagedDocument
    from vdr_integrations.index.sync.page_encoding import EncodedPage
    from vdr_integrations.pages.drawing.drawn_page import DrawnPage
    from vdr_integrations.pages.process_limits import ProcessLimits
    from vdr_integrations.pages.processes.process_pool import Lane
    from vdr_integrations.types import PageImage, PixelBudget

__all__ = ["Draft"]


@dataclass(slots=True)
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
    is_rendered: bool = False
    is_withdrawn: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether each page is encoded or has an error."""
        return self.is_rendered and len(self.encoded) + len(self.errors) == self.total_pages

    def render(
        self,
        budget: PixelBudget,
        *,
        password: str | None,
        lane: Lane,
    ) -> Iterator[tuple[int, Callable[[], DrawnPage]]]:
        """Page numbers, each with a function that returns the page or raises PageError.

        Raises:
            PageError: The document as a whole is unusable.
        """
        with open_document(
            self.path, name=self.source, password=password, process_limits=self.process_limits
        ) as pages:
            self.total_pages = len(pages)
            for page_number, page in enumerate(pages, start=1):
                yield page_number, page.begin(budget, lane=lane)
        self.is_rendered = True

    def receive(self, page_number: int, drawn: Callable[[], DrawnPage]) -> PageImage | None:
        """Wait for a page and keep its record; None if the page cannot be drawn."""
        try:
            page = drawn()
        except PageError as error:
            self.errors[page_number] = error
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
        record = self.records.pop(page_number)
        self.sink.add(replace(record, grid=page.grid), page.vectors, dense=page.dense)
        self.warnings[page_number] = record.warnings
        self.encoded.add(page_number)

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


def _skipped(number: int, error: PageError, limits: ProcessLimits | None) -> SkippedPage:
    """The record of a page that is left out; with the limits, if it did not keep them."""
    if limits is None or not isinstance(error, PageLimitError):
        return SkippedPage(number, error.reason)
    return SkippedPage(number, error.reason, limits.memory_mb, limits.page_timeout_s)
