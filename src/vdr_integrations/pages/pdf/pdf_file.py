"""A PDF that MuPDF holds open: it is unlocked, checked, asked for pages, and closed."""

from __future__ import annotations

import hashlib
import logging
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from vdr_integrations.errors import (
    DocumentOpenError,
    DocumentPasswordError,
    EmptyDocumentError,
    PageRenderError,
)
from vdr_integrations.pages.pdf.mupdf import MUPDF_LOCK, mupdf

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import pymupdf

    from vdr_integrations.pages.file_limits import RenderLimits

__all__ = ["LoadedPage", "PdfFile"]

_logger = logging.getLogger(__name__)

_HEADER = b"%PDF-"
_HEADER_WITHIN_BYTES = 1024
"""PDF readers look for the header in this many bytes (ISO 32000-1, annex H, note 13)."""


class LoadedPage(NamedTuple):
    """MuPDF's own objects. Use them only while you hold its lock."""

    engine: Any
    document: pymupdf.Document
    page: pymupdf.Page


class PdfFile:
    """An open PDF. The document and its pages in use share it.

    Attributes:
        source: Name of the document in error messages.
        sha256: SHA-256 of the file's bytes.
        limits: Limits it was opened with.
        page_count: Number of pages.
        path: File that another process can open too. None for bytes, and for encrypted documents,
            because their password is not kept.
    """

    def __init__(
        self,
        data: bytes,
        *,
        source: str,
        password: str | None,
        limits: RenderLimits,
        path: Path | None = None,
    ) -> None:
        """Open, unlock and check it; errors as in ``open_pdf``."""
        # Without this check MuPDF would also open HTML, SVG, EPUB or an image.
        if _HEADER not in data[:_HEADER_WITHIN_BYTES]:
            raise _not_a_pdf(source)
        with mupdf(DocumentOpenError, source=source, doing="open") as engine:
            document = engine.open(stream=data, filetype="pdf")
            try:
                is_locked = bool(document.needs_pass)
                self.page_count = _check(document, password, source, limits)
            except BaseException:
                document.close()
                raise
        self.source = source
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.limits = limits
        self.path = None if is_locked else path
        self._document: pymupdf.Document = document
        self._kept: dict[int, pymupdf.Page] | None = None
        self._close = weakref.finalize(self, _close, document)
        self._close.atexit = False

    @contextmanager
    def load(self, page_number: int, *, doing: str) -> Generator[LoadedPage]:
        """Load a page. Until the block ends, no other thread can use MuPDF.

        Args:
            page_number: 1-based.
            doing: What you do with the page, for error messages: "render".

        Raises:
            DocumentOpenError: The document is closed.
            PageRenderError: MuPDF cannot load the page, or fails in the block.
        """
        with mupdf(
            PageRenderError, source=self.source, doing=doing, page_number=page_number
        ) as engine:
            if not self._close.alive:
                raise DocumentOpenError(
                    "the document is closed; use its pages before closing it.",
                    source=self.source,
                    page_number=page_number,
                )
            yield LoadedPage(engine, self._document, self._page(page_number))

    @contextmanager
    def keeping_pages(self) -> Generator[None]:
        """Keep the pages that :meth:`load` loads in the block, so that none is loaded twice.

        Until the block ends, no other thread can use MuPDF. A block inside another one keeps its
        pages until the outer block ends.
        """
        with MUPDF_LOCK:
            outer = self._kept
            self._kept = {} if outer is None else outer
            try:
                yield
            finally:
                self._kept = outer

    def close(self) -> None:
        """Free the memory of the file. A second call does nothing."""
        self._close()

    def _page(self, page_number: int) -> pymupdf.Page:
        if self._kept is None:
            return self._document.load_page(page_number - 1)
        if page_number not in self._kept:
            self._kept[page_number] = self._document.load_page(page_number - 1)
        return self._kept[page_number]


def _check(
    document: pymupdf.Document, password: str | None, source: str, limits: RenderLimits
) -> int:
    """Unlock the document and return its number of pages."""
    if not document.is_pdf:
        raise _not_a_pdf(source)
    if document.needs_pass:
        _unlock(document, password, source)
    page_count = document.page_count
    if page_count < 1:
        raise EmptyDocumentError("it has no pages; leave it out.", source=source)
    if page_count > limits.max_pages:
        raise DocumentOpenError(
            f"it has {page_count:,} pages; at most {limits.max_pages:,} are read. Split it, or "
            f"pass limits=RenderLimits(max_pages=...).",
            source=source,
        )
    # One bad page is the error of that page. If neither the first nor the last page can be loaded,
    # the page tree is broken.
    if not any(_loads(document, position) for position in {0, page_count - 1}):
        raise DocumentOpenError(
            "its page tree is broken: neither the first nor the last page can be found. "
            "Repair it, for instance by printing it to a new PDF.",
            source=source,
        )
    if document.is_repaired:
        _logger.warning("%s: damaged, and repaired while opening; parts may be missing", source)
    return page_count


def _unlock(document: pymupdf.Document, password: str | None, source: str) -> None:
    if password is None:
        raise DocumentPasswordError(
            "it is encrypted, and no password was given; pass password=...", source=source
        )
    try:
        unlocked = document.authenticate(password)
    except (TypeError, ValueError):  # a text that cannot be a C string is not the password
        unlocked = False
    if not unlocked:
        raise DocumentPasswordError(
            "it is encrypted, and the password does not open it.", source=source
        )


def _loads(document: pymupdf.Document, position: int) -> bool:
    try:
        document.load_page(position)
    except Exception:  # noqa: BLE001  # MuPDF raises many types; see mupdf.py
        return False
    return True


def _not_a_pdf(source: str) -> DocumentOpenError:
    return DocumentOpenError(
        "it is not a PDF: no %PDF- header at its start. Convert it to a PDF; "
        "images are opened with open_image(...).",
        source=source,
    )


def _close(document: pymupdf.Document) -> None:
    with MUPDF_LOCK:
        document.close()
