"""Hits as LangChain documents, and documents as pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.documents import Document

from vdr_integrations.errors import OptionError
from vdr_integrations.retrieval import FoundPage
from vdr_integrations.retrieval.page_reading import ReadPage
from vdr_integrations.types import PageRef

if TYPE_CHECKING:
    from vdr_integrations.types import Hit

__all__ = ["found_page", "hit_document", "page_of_document"]


def hit_document(hit: Hit) -> Document:
    """The document of a found page.

    ``page_content`` is what a language model can read: the text layer, or a sentence that names
    the page if there is none. The image is behind ``metadata["page_ref"]``.
    """
    # 0-based, as LangChain's own PDF loaders count.
    own = {**ReadPage.of(hit).facts, "page": hit.page_number - 1, "score": hit.score}
    return Document(id=hit.page_id, page_content=_content(hit), metadata={**hit.metadata, **own})


def found_page(document: Document) -> FoundPage:
    """The page that a document is, as far as it is one."""
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


def page_of_document(document: Document) -> FoundPage:
    """The page that a document is.

    Raises:
        OptionError: The document is not a page.
    """
    page = found_page(document)
    if page.page_ref is None:
        raise OptionError(
            f"document {document.id} is not a page: neither metadata['page_ref'] nor page_content "
            f"is a page reference. Load PDFs with PDFPageLoader to search their pages, and rank "
            f"pages and texts apart, for example with EnsembleRetriever."
        )
    return page


def _content(hit: Hit) -> str:
    # A text layer that reads like a reference would be taken for another page's image.
    if hit.text.strip() and PageRef.parse(hit.text.strip()) is None:
        return hit.text
    return (
        f"Page {hit.page_number} of {hit.total_pages} of {hit.source}: an image without a text "
        f"layer."
    )
