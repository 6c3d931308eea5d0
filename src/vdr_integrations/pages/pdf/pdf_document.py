"""Opening a PDF, and the sequence of its pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self, overload

from vdr_integrations.errors import DocumentOpenError
from vdr_integrations.pages.file_limits import DEFAULT_RENDER_LIMITS, RenderLimits
from vdr_integrations.pages.pdf.pdf_file import PdfFile
from vdr_integrations.pages.pdf.pdf_page import PdfPage
from vdr_integrations.pages.read_file import FileSource, read_source, source_name

__all__ = ["PdfDocument", "open_pdf"]


def open_pdf(
    source: FileSource,
    *,
    password: str | None = None,
    name: str | None = None,
    limits: RenderLimits = DEFAULT_RENDER_LIMITS,
) -> PdfDocument:
    """Open a PDF; its pages are read and drawn when they are asked for.

    The file is read whole, so that hash and pages belong together whatever happens to it later.
    A damaged document that MuPDF can repair opens, and says so in the log.

    Args:
        source: Path, bytes, bytearray or BytesIO. URLs are not opened.
        password: User or owner password; not needed where only an owner password is set. It is
            neither kept nor repeated in errors.
        name: What errors and ``source`` call the document; the path by default.
        limits: Bytes, pages, page size and text allowed.

    Raises:
        DocumentOpenError: Missing, unreadable, not a PDF, damaged, or beyond the limits.
        DocumentPasswordError: Encrypted, and no password or a wrong one was given.
        EmptyDocumentError: It has no pages.
        MissingExtraError: PyMuPDF is not installed.
        ResourceError: This machine opens no more files.
        OptionError: ``source`` is of another type.
    """
    label = source_name(source, name=name, fallback="document")
    data = read_source(
        source,
        source_name=label,
        max_file_bytes=limits.max_file_bytes,
        error=DocumentOpenError,
    )
    path = Path(source).absolute() if isinstance(source, str | Path) else None
    return PdfDocument(PdfFile(data, source=label, password=password, limits=limits, path=path))


class PdfDocument(Sequence[PdfPage]):
    """The pages of an open PDF.

    A context manager that closes the document; without one it is closed when neither it nor any
    of its pages is used any more. Safe to use from several threads, which take turns.
    """

    def __init__(self, file: PdfFile) -> None:
        """Wrap an open file; callers use :func:`open_pdf`."""
        self._file = file

    @property
    def source(self) -> str:
        """The path as it was given, or the caller's name for it."""
        return self._file.source

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, 64 lower-case hexadecimal digits."""
        return self._file.sha256

    def close(self) -> None:
        """Let go of the file's bytes; its pages stop working. Closing twice does nothing."""
        self._file.close()

    def __len__(self) -> int:
        """Pages."""
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
