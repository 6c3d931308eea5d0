"""LangChain documents of PDF pages: what they hold, and what identifies them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document

from vdr_integrations.errors import PageError
from vdr_integrations.pages.on_error import ErrorHandler, raise_error
from vdr_integrations.retrieval.citation import file_name_of
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vdr_integrations.pages import PageStore, PdfDocument, PdfPage

__all__ = ["PageDocuments", "page_key"]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "vdr-integrations:langchain")


@dataclass(frozen=True, slots=True)
class PageDocuments:
    """Renders pages, puts their images in the store, and writes documents that refer to them.

    Attributes:
        store: Where images go.
        budget: Size that pages are rendered at.
        include_text: Whether the text layer goes into ``metadata["text"]``.
    """

    store: PageStore
    budget: PixelBudget = field(default_factory=PixelBudget)
    include_text: bool = True

    def of_page(
        self, page: PdfPage, *, source: str, metadata: Mapping[str, Any] | None = None
    ) -> Document:
        """The document of one page.

        Its id depends on ``source`` and the page number only, so that a changed page takes the
        place of what it was.

        Args:
            page: A page of an open PDF.
            source: Goes into the metadata; identifies the PDF.
            metadata: More keys; those of the page win.

        Raises:
            PageError: The page cannot be rendered.
        """
        ref = str(self.store.put(page.to_image(self.budget)))
        described: dict[str, Any] = {
            **(metadata or {}),
            "source": source,
            "file_name": file_name_of(source),
            "page": page.page_number - 1,  # 0-based, as LangChain's own PDF loaders count
            "page_number": page.page_number,
            "page_label": page.page_label,
            "total_pages": page.total_pages,
            "page_ref": ref,
        }
        if self.include_text:
            described["text"] = page.text
        place = uuid.uuid5(_NAMESPACE, json.dumps([source, page.page_number]))
        return Document(page_content=ref, metadata=described, id=str(place))

    def of_pdf(
        self,
        pdf: PdfDocument,
        *,
        source: str,
        metadata: Mapping[str, Any] | None = None,
        on_error: ErrorHandler = raise_error,
    ) -> Iterator[Document]:
        """The documents of all pages, in order, each rendered when it is asked for.

        Args:
            pdf: An open PDF.
            source: As for :meth:`of_page`.
            metadata: As for :meth:`of_page`.
            on_error: Called with the error of a page that cannot be rendered.
        """
        for page in pdf:
            try:
                document = self.of_page(page, source=source, metadata=metadata)
            except PageError as error:
                on_error(error)
            else:
                yield document


def page_key(document: Document) -> str:
    """Key encoder for LangChain's ``index()``: a UUID of the content and all metadata.

        index(loader, record_manager, store, cleanup="incremental", source_id_key="source",
              key_encoder=page_key)

    The built-in encoders either rest on SHA-1, and warn, or give ids that are no UUIDs, which
    Qdrant refuses.

    Raises:
        TypeError: Metadata that JSON cannot hold.
    """
    content = [document.page_content, document.metadata]
    return str(uuid.uuid5(_NAMESPACE, json.dumps(content, sort_keys=True)))
