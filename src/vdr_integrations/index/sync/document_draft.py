"""A document while its pages are drawn, encoded and written into the index."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vdr_integrations.errors import PageError
from vdr_integrations.index.records import DocumentRecord, FileState, PageRecord, SkippedPage
from vdr_integrations.pages import open_image, open_pdf
from vdr_integrations.pages.document_kind import document_kind
from vdr_integrations.pages.drawing.drawn_page import DrawnPage
from vdr_integrations.types import PageImage, PixelBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vdr_integrations.index.staged_document import StagedDocument
    from vdr_integrations.index.sync.page_encoding import EncodedPage
    from vdr_integrations.pages.drawing.draw_ahead import PagePrinter

__all__ = ["Draft"]


@dataclass(slots=True)
class Draft:
    """What is known about a document while its pages are drawn and encoded.

    Attributes:
        source: Name of the document in the index.
        path: Path of the file.
        file: The file's state, read before the document was opened.
        replaces: Whether the index holds an older version.
        sink: Receives its pages when they are encoded.
        total_pages: Number of pages of the document.
        errors: Why pages are left out, by page number.
        encoded: Numbers of the pages that were written to the sink.
        records: Records of pages that were drawn and are not encoded yet, by page number.
        is_rendered: Whether all pages were handed out for drawing.
        is_withdrawn: Whether the document turned out to be unusable.
    """

    source: str
    path: Path
    file: FileState
    replaces: bool
    sink: StagedDocument
    total_pages: int = 0
    errors: dict[int, PageError] = field(default_factory=dict[int, PageError])
    encoded: set[int] = field(default_factory=set[int])
    records: dict[int, PageRecord] = field(default_factory=dict[int, PageRecord])
    is_rendered: bool = False
    is_withdrawn: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether each page is encoded or has an error."""
        return self.is_rendered and len(self.encoded) + len(self.errors) == self.total_pages

    def render(
        self, budget: PixelBudget, *, password: str | None, printer: PagePrinter
    ) -> Iterator[tuple[int, Callable[[], DrawnPage]]]:
        """Page numbers, each with a function that returns the page or raises PageError.

        Raises:
            PageError: The document as a whole is unusable.
        """
        if document_kind(self.path) == "image":
            self.total_pages = 1
            photo = open_image(self.path, name=self.source)
            picture = PageImage(photo.render(budget), source=self.source)
            yield 1, lambda: DrawnPage(picture, page_label="1", text="")
        else:
            with open_pdf(self.path, password=password, name=self.source) as document:
                self.total_pages = len(document)
                for page in document:
                    yield page.page_number, printer.submit(page, budget)
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
        )
        return page.image

    def take(self, page_number: int, page: EncodedPage) -> None:
        """Write an encoded page to the sink."""
        record = self.records.pop(page_number)
        self.sink.add(replace(record, grid=page.grid), page.vectors, dense=page.dense)
        self.encoded.add(page_number)

    def commit(self) -> None:
        """Commit the completely encoded document to the index."""
        document = DocumentRecord(
            source=self.source,
            file=self.file,
            total_pages=self.total_pages,
            skipped=tuple(
                SkippedPage(page_number=number, reason=error.reason)
                for number, error in sorted(self.errors.items())
            ),
        )
        self.sink.commit(document)
