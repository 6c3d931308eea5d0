"""Open a PDF as a sequence of pages."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, overload

from vdr_integrations.errors import DocumentOpenError, OptionError
from vdr_integrations.pages.file_limits import DEFAULT_RENDER_LIMITS, RenderLimits
from vdr_integrations.pages.pdf.mupdf import check_mupdf
from vdr_integrations.pages.pdf.pdf_file import PdfElsewhere, PdfFile, PdfHere
from vdr_integrations.pages.pdf.pdf_page import PdfPage
from vdr_integrations.pages.process_limits import DEFAULT_PROCESS_LIMITS, ProcessLimits
from vdr_integrations.pages.processes.process_pool import default_lane, result_of
from vdr_integrations.pages.read_file import FileSource, file_content, source_name, whole_file

if TYPE_CHECKING:
    from vdr_integrations.pages.pdf.page_content import OutlineEntry

__all__ = ["PdfDocument", "open_pdf"]

_logger = logging.getLogger(__name__)

_LONGEST_PASSWORD = 1000
"""PDFs use 127 bytes of a password (ISO 32000-2, 7.6.4.3.3)."""


def open_pdf(
    source: FileSource,
    *,
    password: str | None = None,
    name: str | None = None,
    limits: RenderLimits = DEFAULT_RENDER_LIMITS,
    process_limits: ProcessLimits | None = DEFAULT_PROCESS_LIMITS,
) -> PdfDocument:
    """Open a PDF. Each page is read and drawn only when you ask for it.

    MuPDF works in another process, with limits: a file that is made to do harm costs its own pages
    only. The processes are shared by all that this process opens. The whole file is read at once;
    if it changes later, its pages are refused. A damaged document that MuPDF can repair is opened,
    with a warning in the log.

    Args:
        source: Path, bytes, bytearray or BytesIO. URLs are not opened.
        password: User or owner password; not needed if only an owner password is set. It is kept
            while the document is open, and shown nowhere.
        name: Name of the document in errors and in ``source``; the path by default.
        limits: Limits of file size, number of pages, page size and length of text.
        process_limits: Limits of the process that opens it. None opens and draws it in this
            process, without limits: for files that you trust.

    Raises:
        DocumentOpenError: The document is missing, unreadable, not a PDF, damaged, or above the
            limits.
        DocumentPasswordError: The document is encrypted, and there is no password or a wrong one.
        EmptyDocumentError: The document has no pages.
        MissingExtraError: PyMuPDF is not installed.
        ResourceError: This machine cannot open more files, or start a process.
        OptionError: ``source`` or ``password`` has another type.
    """
    label = source_name(source, name=name, fallback="document")
    _check_password(password)
    check_mupdf()
    content = file_content(
        source,
        source_name=label,
        max_file_bytes=limits.max_file_bytes,
        error=DocumentOpenError,
    )
    if process_limits is None:
        data = (
            content
            if isinstance(content, bytes)
            else whole_file(
                content,
                source_name=label,
                max_file_bytes=limits.max_file_bytes,
                error=DocumentOpenError,
            )
        )
        file: PdfFile = PdfHere(data, source=label, password=password, limits=limits)
    else:
        file = PdfElsewhere(
            content,
            source=label,
            password=password,
            limits=limits,
            process_limits=process_limits,
        )
    if file.is_repaired:
        _logger.warning("%s: damaged, and repaired while opening; parts may be missing", label)
    return PdfDocument(file)


def _check_password(password: object) -> None:
    if password is None or (isinstance(password, str) and len(password) <= _LONGEST_PASSWORD):
        return
    found = (
        f"a text of {len(password):,} characters"
        if isinstance(password, str)
        else type(password).__name__
    )
    raise OptionError(
        f"password must be a text of at most {_LONGEST_PASSWORD:,} characters, found {found}."
    )


class PdfDocument(Sequence[PdfPage]):
    """The pages of an open PDF.

    Use it in a ``with`` block, which closes it. Without one, it is closed when neither the document
    nor any of its pages is in use any more. Several threads may use it; they take turns.
    """

    def __init__(self, file: PdfFile) -> None:
        """Wrap an open file. Use :func:`open_pdf` instead."""
        self._file = file

    @property
    def source(self) -> str:
        """The path as it was given, or the caller's name for it."""
        return self._file.source

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, 64 lower-case hexadecimal digits."""
        return self._file.sha256

    @property
    def is_elsewhere(self) -> bool:
        """Whether other processes open and draw it."""
        return self._file.is_elsewhere

    def outline(self) -> list[OutlineEntry]:
        """The outline (bookmarks), in its order: at most 2,000 titles of 300 characters.

        Raises:
            PageRenderError: MuPDF cannot read it.
        """
        lane = default_lane()
        future = self._file.begin(lambda content: content.outline(), page_number=1, lane=lane)
        return result_of(future, lane)

    def close(self) -> None:
        """Free the memory of the file; its pages stop working. A second call does nothing."""
        self._file.close()

    def __len__(self) -> int:
        """Number of pages."""
        return self._file.page_count

    @overload
    def __getitem__(self, index: int) -> PdfPage: ...
    @overload
    def __getitem__(self, index: slice) -> list[PdfPage]: ...
    def __getitem__(self, index: int | slice) -> PdfPage | list[PdfPage]:
        """Pages by 0-based position, as in any sequence; ``page_number`` is one more."""
        positions = range(len(self))[index]
        if isinstance(positions, range):
            return [PdfPage(self._file, position + 1) for position in positions]
        return PdfPage(self._file, positions + 1)

    def __enter__(self) -> Self:
        """The document."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Name and length, never content."""
        return f"PdfDocument({self.source!r}, {len(self)} pages)"
