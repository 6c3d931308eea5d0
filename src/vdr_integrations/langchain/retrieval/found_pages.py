"""LangChain documents of pages that a late-interaction index found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.documents import Document

from vdr_integrations.errors import OptionError
from vdr_integrations.index.stored_page import page_id
from vdr_integrations.types import PageRef

if TYPE_CHECKING:
    from vdr_integrations.types import Hit

__all__ = ["hit_document", "page_ref_of", "possible_page_ids"]


def hit_document(hit: Hit) -> Document:
    """The document of a found page.

    ``page_content`` is what a language model can read: the text layer, or a sentence that names
    the page where there is none. The picture is behind ``metadata["page_ref"]``.
    """
    metadata = {
        **hit.metadata,
        "source": hit.source,
        "page": hit.page_number - 1,  # 0-based, as LangChain's own PDF loaders count
        "page_number": hit.page_number,
        "page_label": hit.page_label,
        "total_pages": hit.total_pages,
        "page_ref": hit.page_ref,
        "score": hit.score,
    }
    return Document(id=hit.page_id, page_content=_content(hit), metadata=metadata)


def page_ref_of(document: Document) -> PageRef:
    """The reference of the page that a document is.

    Raises:
        OptionError: The document is not a page.
    """
    for text in (document.metadata.get("page_ref"), document.page_content):
        if isinstance(text, str) and (ref := PageRef.parse(text)) is not None:
            return ref
    raise OptionError(
        f"document {document.id} is not a page: neither metadata['page_ref'] nor page_content is "
        f"a page reference. Rank pages and texts apart, for example with EnsembleRetriever."
    )


def possible_page_ids(document: Document) -> list[str]:
    """What an index may call the page of a document; that it is the same its reference tells."""
    ids = [] if document.id is None else [document.id]
    source, number = document.metadata.get("source"), document.metadata.get("page_number")
    if isinstance(source, str) and isinstance(number, int):
        path = Path(source)
        absolute = (path.parent.resolve() / path.name).as_posix()  # as sync_index names files
        ids += [page_id(source, number), page_id(absolute, number)]
    return list(dict.fromkeys(ids))


def _content(hit: Hit) -> str:
    # A text layer that reads like a reference would be taken for another page's picture.
    if hit.text.strip() and PageRef.parse(hit.text.strip()) is None:
        return hit.text
    return (
        f"Page {hit.page_number} of {hit.total_pages} of {hit.source}: a picture without a text "
        f"layer."
    )
