"""LangChain parser that reads blobs of PDFs page by page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.document_loaders import BaseBlobParser

from vdr_integrations.langchain.reading.page_documents import page_document
from vdr_integrations.pages.on_error import raise_error
from vdr_integrations.retrieval.pages_into_store import PageReading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.documents import Document
    from langchain_core.documents.base import Blob

__all__ = ["PDFPageBlobParser"]


class PDFPageBlobParser(BaseBlobParser):
    """Documents of the pages of a PDF that is a blob: a file, or bytes from any place.

    Options and documents are those of :class:`PDFPageLoader`; the metadata of the blob is added.
    ``source`` is that of the blob, or ``sha256:`` and the digest of bytes that have no source.

    Raises:
        OptionError: ``max_visual_tokens`` is less than 1, or a limit is out of range.
    """

    def __init__(
        self,
        *,
        password: str | None = None,
        max_visual_tokens: int = 768,
        page_store_path: str | None = None,
        include_text: bool = True,
        render_workers: int | None = None,
        page_timeout_s: float | None = None,
        page_memory_mb: int | None = None,
    ) -> None:
        self._password = password
        self._include_text = include_text
        self._reading = PageReading.of(
            page_store_path,
            max_visual_tokens=max_visual_tokens,
            render_workers=render_workers,
            page_timeout_s=page_timeout_s,
            page_memory_mb=page_memory_mb,
        )

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """One document per page, each rendered when it is requested.

        Raises:
            DocumentOpenError: Not a PDF, truncated, without pages, or encrypted.
            PageError: A page cannot be rendered.
            PageStoreError: The page store cannot be written to (an OSError).
        """
        content = Path(blob.path) if blob.data is None and blob.path else blob.as_bytes()
        name = blob.source or "PDF blob"
        options = {"password": self._password, "name": name, "source": blob.source}
        for page in self._reading.read(content, **options, on_error=raise_error):
            yield page_document(page, include_text=self._include_text, metadata=blob.metadata)
