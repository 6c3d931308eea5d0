"""A document on its way into the index."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.errors import PageError
from vdr_integrations.index.records import DocumentRecord, FileState, PageRecord, SkippedPage
from vdr_integrations.pages import open_image, open_pdf
from vdr_integrations.pages.find import IMAGE_SUFFIXES
from vdr_integrations.types import PageImage, PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Draft"]


@dataclass(slots=True)
class Draft:
    """What is known of a document while its pages are rendered and encoded.

    Attributes:
        source: What the index will call it.
        path: The file.
        file: The file's state, read before the document was opened.
        replaces: Whether the index holds an older version.
        total_pages: Pages of the document.
        errors: Why pages are left out, by page number.
        vectors: Vectors of the pages that were encoded, by page number.
        records: What is kept of the pages that were rendered, by page number.
        is_rendered: Whether no further pages will come.
    """

    source: str
    path: Path
    file: FileState
    replaces: bool
    total_pages: int = 0
    errors: dict[int, PageError] = field(default_factory=dict[int, PageError])
    vectors: dict[int, NDArray[np.float32]] = field(
        default_factory=dict[int, "NDArray[np.float32]"]
    )
    records: dict[int, PageRecord] = field(default_factory=dict[int, PageRecord])
    is_rendered: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether each page has a vector or an error."""
        return self.is_rendered and len(self.vectors) + len(self.errors) == self.total_pages

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

    def finished(
        self,
    ) -> tuple[DocumentRecord, list[PageRecord], NDArray[np.float32]]:
        """The document, its pages and their vectors, as ``DenseIndex.add_document`` takes them."""
        numbers = sorted(self.vectors)
        document = DocumentRecord(
            source=self.source,
            file=self.file,
            total_pages=self.total_pages,
            skipped=tuple(
                SkippedPage(page_number=number, reason=error.reason)
                for number, error in sorted(self.errors.items())
            ),
        )
        return (
            document,
            [self.records[number] for number in numbers],
            np.stack([self.vectors[number] for number in numbers]),
        )
