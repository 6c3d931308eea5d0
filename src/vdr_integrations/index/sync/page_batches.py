"""Pages of several documents, encoded together."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from vdr_integrations.errors import DeviceMemoryError, InvalidVectorError, PageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdr_integrations.encoders.runtime.pages_under_way import PagesUnderWay
    from vdr_integrations.index.sync.document_draft import Draft
    from vdr_integrations.index.sync.page_encoding import EncodedPage, PageEncoding
    from vdr_integrations.types import PageImage

    Waiting = tuple[Draft, int, PageImage]

__all__ = ["PageBatches", "pages_at_once"]

_BATCH_S = 2.0
"""A killed run loses the pages that it was encoding: about so many seconds of work."""


def pages_at_once(
    seconds_per_page: float | None, *, full_batch: int, most: int, seconds: float = _BATCH_S
) -> int:
    """How many pages to encode before they are kept: a few seconds of work, in full batches.

    Args:
        seconds_per_page: What the last pages took; None before the first ones.
        full_batch: How many pages the encoder accepts in one batch; fewer would waste time.
        most: How many pages may be in memory.
        seconds: How many seconds.
    """
    if seconds_per_page is None:
        return min(full_batch, most)
    batches = int(seconds / max(full_batch * seconds_per_page, 1e-9))
    return min(full_batch * max(batches, 1), most)


class _Running(NamedTuple):
    """A batch that a model works on beside this process."""

    batch: list[Waiting]
    pages: PagesUnderWay[list[EncodedPage]]
    began: float


class PageBatches:
    """Collects pages across documents, so that a thousand one-page files make full batches.

    At most ``batch_pages`` page images are held at a time, for documents of any size. After each
    batch, the pages of documents that are not complete yet are kept for the next run.

    A model that works beside this process (on a GPU, on several devices, on a server) always has a
    batch to go on with: each is sent before the results of the one before it are written.

    Attributes:
        pages_encoded: Number of pages that were encoded.
        documents_opened: Number of documents whose pages were counted.
    """

    def __init__(self, encoding: PageEncoding, *, batch_pages: int) -> None:
        self._encoding = encoding
        self._held_most = batch_pages
        at_once = 2 if encoding.works_beside else 1
        self._most = max(batch_pages // at_once, 1)
        self._seconds = _BATCH_S / at_once
        self._at_once = pages_at_once(None, full_batch=encoding.full_batch, most=self._most)
        self._waiting: list[Waiting] = []
        self._running: deque[_Running] = deque()
        self._settled = time.monotonic()
        self._drafts: deque[Draft] = deque()
        self._pages_of_ended = 0
        self.pages_encoded = 0
        self.documents_opened = 0

    @property
    def pages_done(self) -> int:
        """Pages that are encoded, were kept by an earlier run, or cannot be encoded."""
        return self._pages_of_ended + sum(draft.pages_done for draft in self._drafts)

    @property
    def pages_opened(self) -> int:
        """Pages of all documents that were opened."""
        return self._pages_of_ended + sum(draft.total_pages for draft in self._drafts)

    def begin(self, draft: Draft) -> None:
        """Begin a document; its pages follow."""
        self._drafts.append(draft)
        self.documents_opened += 1

    def withdraw(self, draft: Draft) -> None:
        """Drop a document that turned out to be unusable."""
        draft.is_withdrawn = True
        self._drafts.remove(draft)
        self._pages_of_ended += draft.pages_done
        self._waiting = [entry for entry in self._waiting if entry[0] is not draft]
        draft.sink.discard()

    def abandon(self) -> None:
        """Drop all documents that are not complete."""
        for running in self._running:
            running.pages.cancel()
        self._running.clear()
        for draft in list(self._drafts):
            self.withdraw(draft)

    def add(self, draft: Draft, page_number: int, image: PageImage) -> None:
        """Add a page; a full batch is encoded immediately, or begun."""
        held = len(self._waiting) + sum(len(one.batch) for one in self._running)
        while self._running and (self._running[0].pages.is_done or held >= self._held_most):
            held -= len(self._running[0].batch)
            self._settle_oldest()
        self._waiting.append((draft, page_number, image))
        if len(self._waiting) >= self._at_once:
            self._begin()
            while len(self._running) > 1:
                self._settle_oldest()

    def encode(self) -> None:
        """Encode the waiting pages, and keep those of incomplete documents for the next run.

        A page without a usable vector is recorded as an error of its draft; the others are encoded.

        Raises:
            EncodingError: The encoder cannot go on.
        """
        self._begin()
        while self._running:
            self._settle_oldest()

    def _begin(self) -> None:
        """Encode the waiting pages, or let a model begin with them that works beside this."""
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        began = time.monotonic()
        if self._encoding.works_beside:
            pages = self._encoding.begin([image for _, _, image in batch])
            self._running.append(_Running(batch, pages, began))
            return
        try:
            self._encode(batch)
        finally:
            self._end(batch, began)

    def _settle_oldest(self) -> None:
        """Wait for the batch that was begun first, and write its pages."""
        batch, pages, began = self._running.popleft()
        try:
            try:
                found = pages.vectors()
            except (InvalidVectorError, DeviceMemoryError):
                for entry in batch:
                    self._encode([entry])
            else:
                self._take(batch, found)
        finally:
            self._end(batch, max(began, self._settled))

    def _end(self, batch: list[Waiting], began: float) -> None:
        for draft in dict.fromkeys(draft for draft, _, _ in batch):
            if not draft.is_withdrawn:
                draft.keep_pages()
        self._settled = time.monotonic()
        self._at_once = pages_at_once(
            (self._settled - began) / len(batch),
            full_batch=self._encoding.full_batch,
            most=self._most,
            seconds=self._seconds,
        )

    def _encode(self, batch: list[Waiting]) -> None:
        batch = [entry for entry in batch if not entry[0].is_withdrawn]
        if not batch:
            return
        try:
            pages = self._encoding.encode([image for _, _, image in batch])
        except (InvalidVectorError, DeviceMemoryError) as error:
            if len(batch) == 1:
                draft, page_number, _ = batch[0]
                failure = PageError(str(error), source=draft.source, page_number=page_number)
                failure.__cause__ = error
                draft.errors[page_number] = failure
                return
            for entry in batch:
                self._encode([entry])
            return
        self._take(batch, pages)

    def _take(self, batch: list[Waiting], pages: list[EncodedPage]) -> None:
        for (draft, page_number, _), page in zip(batch, pages, strict=True):
            if not draft.is_withdrawn:
                draft.take(page_number, page)
                self.pages_encoded += 1

    def finished(self) -> Iterator[Draft]:
        """Complete documents, in the order in which they were begun."""
        while self._drafts and self._drafts[0].is_complete:
            draft = self._drafts.popleft()
            self._pages_of_ended += draft.pages_done
            yield draft
