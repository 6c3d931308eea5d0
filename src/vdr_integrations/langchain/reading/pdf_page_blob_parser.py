"""LangChain parser that reads blobs of PDFs page by page."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from langchain_core.document_loaders import BaseBlobParser

from vdr_integrations.langchain.reading.page_documents import page_document
from vdr_integrations.pages.on_error import raise_error
from vdr_integrations.retrieval.document_source import source_of_name
from vdr_integrations.retrieval.pages_into_store import PageReading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.documents import Document
    from langchain_core.documents.base import Blob

__all__ = ["PDFPageBlobParser"]


class PDFPageBlobParser(BaseBlobParser):
    """Documents of the pages of a PDF that is a blob: a file, or bytes from any place.

    Options and documents are those of :class:`PDFPageLoader`; the metadata of the blob is added.
    ``source`` is the absolute path of a file. Of bytes it is the blob's source, if that is a URL or
    an absolute path; otherwise ``sha256:`` and their digest, because two uploads may have the same
    name. ``file_name`` is the name in both cases. Pickles do not hold the password.

    Raises:
        OptionError: An option is out of range.
    """

    def __init__(
        self,
        *,
        password: str | None = None,
        max_visual_tokens: int = 768,
        token_side_px: int = 28,
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
            token_side_px=token_side_px,
            render_workers=render_workers,
            page_timeout_s=page_timeout_s,
            page_memory_mb=page_memory_mb,
        )

    def __getstate__(self) -> dict[str, Any]:
        """The options without the password."""
        return {**self.__dict__, "_password": None}

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """One document per page, each rendered when it is requested.

        Raises:
            DocumentOpenError: Not a PDF, truncated, without pages, or encrypted.
            PageError: A page cannot be rendered.
            PageStoreError: The page store cannot be written to (an OSError).
        """
        shown = str(blob.metadata.get("source") or blob.path or "")
        path = Path(blob.path) if blob.data is None and blob.path else None
        for page in self._reading.read(
            path or blob.as_bytes,
            password=self._password,
            name=shown or "blob",
            source=source_of_name(shown if "source" in blob.metadata else None)
            or path
            or source_of_name(shown),
            file_name=PurePath(shown).name,
            metadata=blob.metadata,
            on_error=raise_error,
        ):
            yield page_document(page, include_text=self._include_text, metadata=blob.metadata)
