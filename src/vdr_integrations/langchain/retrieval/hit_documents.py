"""Turns hits into LangChain documents, and documents into pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError
from vdr_integrations.langchain.reading.page_documents import page_document
from vdr_integrations.retrieval import FoundPage
from vdr_integrations.retrieval.page_metadata import ReadPage
from vdr_integrations.types import PageRef

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from vdr_integrations.types import Hit

__all__ = ["SCORE_KEY", "checked_page", "found_page", "hit_document"]

SCORE_KEY = "relevance_score"
"""Metadata key of scores, where LangChain's rerankers put them."""


def hit_document(hit: Hit, *, with_score: bool = False) -> Document:
    """The document of a found page, as the loader makes it; with its score if that is wanted."""
    score = {SCORE_KEY: hit.score} if with_score else {}
    return page_document(ReadPage.of(hit), metadata={**hit.metadata, **score})


def found_page(document: Document) -> FoundPage:
    """The page of a document; ``page_ref`` is None if the document is not a page."""
    score, content = document.metadata.get(SCORE_KEY), document.page_content
    return FoundPage.of_metadata(
        document.metadata,
        content=content,
        text="" if PageRef.parse(content) else content,
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
