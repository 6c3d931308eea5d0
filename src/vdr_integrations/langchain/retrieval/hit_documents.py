"""Turns hits into LangChain documents, and documents into pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.documents import Document

from vdr_integrations.errors import OptionError
from vdr_integrations.retrieval import FoundPage
from vdr_integrations.retrieval.pages_into_store import ReadPage
from vdr_integrations.types import PageRef

if TYPE_CHECKING:
    from vdr_integrations.types import Hit

__all__ = ["checked_page", "found_page", "hit_document"]


def hit_document(hit: Hit) -> Document:
    """The document of a found page.

    ``page_content`` is what a language model can read: the text layer, or a sentence that names
    the page if there is none. ``metadata["page_ref"]`` is the reference of the image.
    """
    # LangChain's own PDF loaders count "page" from 0.
    own = {**ReadPage.of(hit).facts, "page": hit.page_number - 1, "score": hit.score}
    # A text layer that is exactly a reference would be embedded as the image of another page.
    has_text = hit.text.strip() and PageRef.parse(hit.text.strip()) is None
    place = f"Page {hit.page_number} of {hit.total_pages} of {hit.source}"
    content = hit.text if has_text else f"{place}: an image without a text layer."
    return Document(id=hit.page_id, page_content=content, metadata={**hit.metadata, **own})


def found_page(document: Document) -> FoundPage:
    """The page of a document; ``page_ref`` is None if the document is not a page."""
    metadata, content = document.metadata, document.page_content
    text = metadata.get("text") if PageRef.parse(content) is not None else content
    score = metadata.get("score")
    return FoundPage.of_metadata(
        metadata,
        content=content,
        text=text if isinstance(text, str) else "",
        score=float(score) if isinstance(score, int | float) else None,
        document_id=document.id,
    )


def checked_page(document: Document) -> FoundPage:
    """The page of a document.

    Raises:
        OptionError: The document is not a page.
    """
    page = found_page(document)
    if page.page_ref is None:
        raise OptionError(
            f"document {document.id} is not a page: neither metadata['page_ref'] nor page_content "
            f"is a page reference. Load PDFs with PDFPageLoader to search their pages, and rank "
            f"pages and texts separately, for example with EnsembleRetriever."
        )
    return page
