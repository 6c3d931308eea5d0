"""Open a file as pages: a PDF, or a picture, which is one page. Its content tells which."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from vdr_integrations.pages.document_kind import first_bytes, named_kind
from vdr_integrations.pages.file_kind import kind_of
from vdr_integrations.pages.file_limits import DEFAULT_IMAGE_LIMITS
from vdr_integrations.pages.images.picture import Picture
from vdr_integrations.pages.pdf.pdf_document import open_pdf
from vdr_integrations.pages.pdf.pdf_page import PdfPage
from vdr_integrations.pages.process_limits import DEFAULT_PROCESS_LIMITS, ProcessLimits

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

__all__ = ["DocumentPage", "open_document"]

DocumentPage: TypeAlias = PdfPage | Picture


@contextmanager
def open_document(
    path: Path,
    *,
    name: str,
    password: str | None = None,
    process_limits: ProcessLimits | None = DEFAULT_PROCESS_LIMITS,
) -> Generator[Sequence[DocumentPage]]:
    """The pages of a file, for the length of the block.

    Args:
        path: A PDF or a picture, whatever its suffix says.
        name: Name of the document in errors.
        password: Password of an encrypted PDF.
        process_limits: Limits of the process that opens it. None opens it in this process.

    Raises:
        PageError: The file is missing, no regular file, too large, or unusable as a whole. A
            picture shows what is wrong with it when it is drawn.
        MissingExtraError: A PDF, and PyMuPDF is not installed.
        ResourceError: This machine cannot open more files, or start a process.
    """
    # What is neither is refused by the one that its name stands for.
    kind = kind_of(first_bytes(path, source_name=name)) or named_kind(path)
    if kind == "image":
        yield [
            Picture(
                path.absolute(),
                source=name,
                limits=DEFAULT_IMAGE_LIMITS,
                process_limits=process_limits,
            )
        ]
        return
    with open_pdf(path, name=name, password=password, process_limits=process_limits) as document:
        yield document
