"""LangChain blobs of PDFs, page by page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.document_loaders import BaseBlobParser

from vdr_integrations.langchain.reading.page_documents import page_document
from vdr_integrations.pages import PageStore, open_pdf
from vdr_integrations.pages.on_error import raise_error
from vdr_integrations.retrieval.page_reading import PageReading
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.documents import Document
    from langchain_core.documents.base import Blob

__all__ = ["PDFPageBlobParser"]


class PDFPageBlobParser(BaseBlobParser):
    """Documents of the pages of a PDF that is already a blob: a file, or bytes from anywhere.

    Documents are those of :class:`PDFPageLoader`, with the blob's own metadata added. ``source``
    is the blob's source; bytes without one are known by ``sha256:`` and the digest of the bytes.

    Args:
        password: For encrypted PDFs.
        max_visual_tokens: Size that pages are rendered at; not less than the embedder's.
        page_store_path: Folder that page images are kept in; None: ``$VDR_PAGE_STORE``, or the
            user's cache folder.
        include_text: Put the text layer into ``metadata["text"]``.

    Raises:
        OptionError: ``max_visual_tokens`` is less than 1.
    """

    def __init__(
        self,
        *,
        password: str | None = None,
        max_visual_tokens: int = 768,
        page_store_path: str | None = None,
        include_text: bool = True,
    ) -> None:
        self._password = password
        self._include_text = include_text
        self._reading = PageReading(PageStore(page_store_path), PixelBudget(max_visual_tokens))

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """One document per page, each rendered when it is asked for.

        Raises:
            DocumentOpenError: Not a PDF, truncated, without pages, or in need of a password.
            PageError: A page cannot be rendered.
        """
        content = Path(blob.path) if blob.data is None and blob.path else blob.as_bytes()
        name = blob.source or "PDF blob"
        with open_pdf(content, password=self._password, name=name) as pdf:
            for page in self._reading.pages(pdf, source=blob.source, on_error=raise_error):
                yield page_document(page, include_text=self._include_text, metadata=blob.metadata)
