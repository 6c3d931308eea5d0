"""Pages of several documents, encoded together."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from vdr_integrations.errors import DeviceMemoryError, InvalidVectorError, PageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdr_integrations.index.sync.document_draft import Draft
    from vdr_integrations.index.sync.page_encoding import PageEncoding
    from vdr_integrations.types import PageImage

__all__ = ["PageBatches"]


class PageBatches:
    """Collects pages across documents, so that a thousand one-page files make full batches.

    At most ``batch_pages`` page images are held at a time, for documents of any size.

    Attributes:
        pages_encoded: Number of pages that were encoded.
    """

    def __init__(self, encoding: PageEncoding, *, batch_pages: int) -> None:
        self._encoding = encoding
        self._batch_pages = batch_pages
        self._waiting: list[tuple[Draft, int, PageImage]] = []
        self._drafts: deque[Draft] = deque()
        self.pages_encoded = 0

    def begin(self, draft: Draft) -> None:
        """Begin a document; its pages follow."""
        self._drafts.append(draft)

    def withdraw(self, draft: Draft) -> None:
        """Drop a document that turned out to be unusable."""
        draft.is_withdrawn = True
        self._drafts.remove(draft)
        self._waiting = [entry for entry in self._waiting if entry[0] is not draft]
        draft.sink.discard()

    def abandon(self) -> None:
        """Drop all documents that are not complete."""
        for draft in list(self._drafts):
            self.withdraw(draft)

    def add(self, draft: Draft, page_number: int, image: PageImage) -> None:
        """Add a page; a full batch is encoded immediately."""
        self._waiting.append((draft, page_number, image))
        if len(self._waiting) >= self._batch_pages:
            self.encode()

    def encode(self) -> None:
        """Encode the waiting pages.

        A page without a usable vector is recorded as an error of its draft; the others are encoded.

        Raises:
            EncodingError: The encoder cannot go on.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            pages = self._encoding.encode([image for _, _, image in waiting])
        except (InvalidVectorError, DeviceMemoryError) as error:
            if len(waiting) == 1:
                draft, page_number, _ = waiting[0]
                failure = PageError(str(error), source=draft.source, page_number=page_number)
                failure.__cause__ = error
                draft.errors[page_number] = failure
                return
            for entry in waiting:
                self._waiting = [entry]
                self.encode()
            return
        for (draft, page_number, _), page in zip(waiting, pages, strict=True):
            draft.take(page_number, page)
        self.pages_encoded += len(waiting)

    def finished(self) -> Iterator[Draft]:
        """Complete documents, in the order in which they were begun."""
        while self._drafts and self._drafts[0].is_complete:
            yield self._drafts.popleft()
