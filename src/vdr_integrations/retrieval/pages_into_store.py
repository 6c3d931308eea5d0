"""Reads pages of files for the frameworks: facts, a reference, and an image in the page store."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vdr_integrations.errors import PageError, PageStoreError
from vdr_integrations.pages.drawing.draw_ahead import look_ahead, own_lane
from vdr_integrations.pages.open_document import open_document
from vdr_integrations.pages.page_store import PageStore
from vdr_integrations.pages.process_limits import ProcessLimits, process_limits
from vdr_integrations.retrieval.document_source import check_storable, file_source
from vdr_integrations.retrieval.page_metadata import ReadPage
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vdr_integrations.pages.drawing.drawn_page import DrawnPage
    from vdr_integrations.pages.on_error import ErrorHandler
    from vdr_integrations.pages.open_document import Document, DocumentPage
    from vdr_integrations.pages.read_file import FileSource

__all__ = ["PageReading"]

_logger = logging.getLogger(__name__)

_AHEAD = 1
"""Pages begun before they are needed: one is drawn while the one before is stored."""


@dataclass(frozen=True, slots=True)
class PageReading:
    """Opens PDFs and pictures, and reads their pages.

    Attributes:
        store: The store that images are put into.
        budget: Size that pages are drawn at.
        process_limits: Limits of the process that opens and draws files; None does it in this one.
    """

    store: PageStore
    budget: PixelBudget
    process_limits: ProcessLimits | None

    @classmethod
    def of(
        cls,
        page_store_path: str | None,
        *,
        max_visual_tokens: int,
        token_side_px: int = 28,
        render_workers: int | None = None,
        page_timeout_s: float | None = None,
        page_memory_mb: int | None = None,
    ) -> Self:
        """The reading that the options of a reader or loader ask for.

        Raises:
            OptionError: ``max_visual_tokens`` or ``token_side_px`` is less than 1, or a limit is
                out of range.
        """
        limits = process_limits(
            render_workers=render_workers,
            page_timeout_s=page_timeout_s,
            page_memory_mb=page_memory_mb,
        )
        budget = PixelBudget(max_visual_tokens, factor=token_side_px)
        return cls(PageStore(page_store_path), budget, limits)

    def read(
        self,
        content: FileSource | Callable[[], FileSource],
        *,
        password: str | None = None,
        name: str | None = None,
        source: Path | str | None,
        file_name: str = "",
        metadata: Mapping[str, Any] | None = None,
        on_error: ErrorHandler,
    ) -> Iterator[ReadPage]:
        """Open a PDF or a picture and read its pages; see ``open_document`` and :meth:`pages`.

        Args:
            content: Path or content of the file, or a function that gets it or raises PageError.
            password: Password of an encrypted PDF.
            name: Its name in errors.
            source: Path of the file, whose absolute path is the name of the document; or that name
                itself; None uses ``sha256:`` and the digest of its bytes.
            file_name: File name to show; empty for that of the document's name.
            metadata: What will be stored beside each page; it is checked before a page is read.
            on_error: Called with the error of a file that does not open, and of each page that
                cannot be drawn or stored.
        """
        try:
            if isinstance(source, Path):
                source = file_source(source)
            check_storable(file_name or source or name or "", metadata)
            file = content() if callable(content) else content
            document = open_document(
                file, password=password, name=name, process_limits=self.process_limits
            )
        except PageError as error:
            on_error(error)
            return
        with document:
            yield from self.pages(document, source=source, file_name=file_name, on_error=on_error)

    def pages(
        self,
        document: Document,
        *,
        source: str | None,
        file_name: str = "",
        on_error: ErrorHandler,
    ) -> Iterator[ReadPage]:
        """All pages, in order, each drawn and stored when it is requested.

        Args:
            document: An open PDF or picture.
            source: Name of the document; None uses ``sha256:`` and the digest of its bytes.
            file_name: File name to show; empty for that of the document's name.
            on_error: Called with the error of a page that cannot be drawn or stored, or of a file
                whose digest cannot be computed.
        """
        try:
            name = source or f"sha256:{document.sha256}"
        except PageError as error:
            on_error(error)
            return
        with own_lane(1) as lane:
            begun = ((page, page.begin(self.budget, lane=lane)) for page in document)
            for page, drawn in look_ahead(begun, _AHEAD if document.is_elsewhere else 0):
                try:
                    read = self._stored(page, drawn(), name, file_name)
                except PageError as error:
                    on_error(error)
                else:
                    yield read

    def _stored(
        self, page: DocumentPage, drawn: DrawnPage, source: str, file_name: str
    ) -> ReadPage:
        try:
            ref = self.store.put(drawn.image)
        except PageStoreError as error:
            raise PageStoreError(
                error.reason, source=source, page_number=page.page_number
            ) from error.__cause__
        for warning in drawn.warnings:
            _logger.warning("%s page %d: %s", source, page.page_number, warning)
        return ReadPage(
            source=source,
            page_number=page.page_number,
            page_label=drawn.page_label,
            total_pages=page.total_pages,
            page_ref=str(ref),
            text=drawn.text,
            warnings=drawn.warnings,
            name=file_name,
        )
