"""Open a file as pages: a PDF, or a picture. Its content tells which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from vdr_integrations.errors import DocumentOpenError, ImageDecodeError
from vdr_integrations.pages.document_kind import first_bytes, named_kind
from vdr_integrations.pages.file_kind import FIRST_BYTES, NEITHER, kind_of
from vdr_integrations.pages.file_limits import DEFAULT_RENDER_LIMITS
from vdr_integrations.pages.images.picture import Picture
from vdr_integrations.pages.images.picture_document import PictureDocument, open_pictures
from vdr_integrations.pages.pdf.pdf_document import PdfDocument, open_pdf
from vdr_integrations.pages.pdf.pdf_page import PdfPage
from vdr_integrations.pages.process_limits import DEFAULT_PROCESS_LIMITS, ProcessLimits
from vdr_integrations.pages.read_file import file_content, source_name

if TYPE_CHECKING:
    from vdr_integrations.pages.read_file import FileSource

__all__ = ["Document", "DocumentPage", "open_document"]

Document: TypeAlias = PdfDocument | PictureDocument
"""A sequence of pages, to be used in a ``with`` block."""

DocumentPage: TypeAlias = PdfPage | Picture


def open_document(
    source: FileSource,
    *,
    name: str | None = None,
    password: str | None = None,
    process_limits: ProcessLimits | None = DEFAULT_PROCESS_LIMITS,
) -> Document:
    """The pages of a PDF or a picture. Use it in a ``with`` block, which closes it.

    An image is one page, and an animation is the page that it begins with. A TIFF has as many pages
    as it holds; a preview of a page is none.

    Args:
        source: Path, bytes, bytearray or BytesIO, whatever the suffix says.
        name: Name of the document in errors and in ``source``; the path by default.
        password: Password of an encrypted PDF.
        process_limits: Limits of the process that opens it. None opens it in this process.

    Raises:
        PageError: The file is missing, no regular file, too large, of another kind, or unusable as
            a whole. An image that is no TIFF shows what is wrong with it when it is drawn.
        MissingExtraError: A PDF, and PyMuPDF is not installed.
        ResourceError: This machine cannot open more files, or start a process.
        OptionError: ``source`` or ``password`` has another type.
    """
    label = source_name(source, name=name, fallback="document")
    content = file_content(
        source,
        source_name=label,
        max_file_bytes=DEFAULT_RENDER_LIMITS.max_file_bytes,
        error=DocumentOpenError,
    )
    if isinstance(content, bytes):
        start, named = content[:FIRST_BYTES], Path(label)
    else:
        start, named = first_bytes(content, source_name=label), content
    kind = kind_of(start)
    if kind == "image":
        return open_pictures(
            content, source=label, first_bytes=start, process_limits=process_limits
        )
    if kind is None and named_kind(named) == "image":
        raise ImageDecodeError(NEITHER, source=label)
    # MuPDF finds PDFs whose header is damaged, and refuses all that is none.
    return open_pdf(content, name=label, password=password, process_limits=process_limits)
