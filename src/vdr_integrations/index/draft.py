"""A document on its way into the index."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vdr_integrations.errors import PageError
from vdr_integrations.index.records import DocumentRecord, FileState, PageRecord, SkippedPage
from vdr_integrations.pages import open_image, open_pdf
from vdr_integrations.pages.find import IMAGE_SUFFIXES
from vdr_integrations.types import PageImage, PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index.sinks import PageSink
    from vdr_integrations.types import PatchGrid

__all__ = ["Draft"]


@dataclass(slots=True)
class Draft:
    """What is known of a document while its pages are rendered and encoded.

    Attributes:
        source: What the index will call it.
        path: The file.
        file: The file's state, read before the document was opened.
        replaces: Whether the index holds an older version.
        sink: Takes its pages as they are encoded.
        total_pages: Pages of the document.
        errors: Why pages are left out, by page number.
        encoded: Pages that went into the sink.
        records: What is kept of the pages that were rendered and not encoded yet, by page number.
        is_rendered: Whether no further pages will come.
    """

    source: str
    path: Path
    file: FileState
    replaces: bool
    sink: PageSink
    total_pages: int = 0
    errors: dict[int, PageError] = field(default_factory=dict[int, PageError])
    encoded: set[int] = field(default_factory=set[int])
    records: dict[int, PageRecord] = field(default_factory=dict[int, PageRecord])
    is_rendered: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether each page is encoded or has an error."""
        return self.is_rendered and len(self.encoded) + len(self.errors) == self.total_pages

    def render(
        self, budget: PixelBudget, *, password: str | None
    ) -> Iterator[tuple[int, PageImage]]:
        """Page numbers and images, one at a time; pages that cannot be rendered go to ``errors``.

        Raises:
            PageError: The document as a whole is unusable.
        """
        if self.path.suffix.lower() in IMAGE_SUFFIXES:
            yield from self._image(budget)
        else:
            yield from self._pdf_pages(budget, password)
        self.is_rendered = True

    def _image(self, budget: PixelBudget) -> Iterator[tuple[int, PageImage]]:
        self.total_pages = 1
        photo = open_image(self.path, name=self.source)
        drawn = PageImage(photo.render(budget), source=self.source)
        self.records[1] = PageRecord(1, page_label="1", page_ref=str(drawn.ref))
        yield 1, drawn

    def _pdf_pages(
        self, budget: PixelBudget, password: str | None
    ) -> Iterator[tuple[int, PageImage]]:
        with open_pdf(self.path, password=password, name=self.source) as document:
            self.total_pages = len(document)
            for page in document:
                number = page.page_number
                try:
                    drawn = page.to_image(budget)
                    self.records[number] = PageRecord(
                        number,
                        page_label=page.page_label,
                        page_ref=str(drawn.ref),
                        text=page.text,
                    )
                except PageError as error:
                    self.errors[number] = error
                else:
                    yield number, drawn

    def take(
        self, page_number: int, vectors: NDArray[np.float32], *, grid: PatchGrid | None
    ) -> None:
        """Put a page that was encoded into the sink."""
        record = self.records.pop(page_number)
        self.sink.add(replace(record, grid=grid), vectors)
        self.encoded.add(page_number)

    def commit(self) -> None:
        """Put the document, of which all is encoded, into the index."""
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
