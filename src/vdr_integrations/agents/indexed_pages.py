"""Pages of an index by name: what may be opened there."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from vdr_integrations.agents.found_pages import FoundPage
from vdr_integrations.errors import OptionError
from vdr_integrations.index.stored_page import page_id
from vdr_integrations.types import PageRef

if TYPE_CHECKING:
    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.index.records import DocumentRecord
    from vdr_integrations.index.stored_page import StoredPage

__all__ = ["document_called", "document_of_file_name", "page_of_document", "pages_of_ref"]


def document_called(index: PageIndex, name: str) -> DocumentRecord:
    """The document of a source, or of a file name that only one document has.

    Raises:
        OptionError: There is none, or several have the name.
    """
    found = index.document(name)
    if found is None:
        found = document_of_file_name(index, name)
    if found is None:
        raise OptionError(
            f"the index has no document {name!r}; copy the name from a search result or from "
            f"list_documents. Other files cannot be opened."
        )
    return found


def document_of_file_name(index: PageIndex, name: str) -> DocumentRecord | None:
    """The document with a file name, whatever its folder; None if there is none.

    Raises:
        OptionError: Several have the name.
    """
    same = [one for one in index.documents() if PurePath(one.source).name == name]
    if len(same) > 1:
        raise OptionError(
            f"{len(same)} documents are called {name!r}; give the whole path: "
            f"{', '.join(one.source for one in same[:5])}."
        )
    return same[0] if same else None


def page_of_document(index: PageIndex, document: DocumentRecord, page_number: int) -> FoundPage:
    """A page of a document.

    Raises:
        OptionError: It is not in the index.
    """
    for page in index.get([page_id(document.source, page_number)]):
        return _of_stored(page)
    for skipped in document.skipped:
        if skipped.page_number == page_number:
            raise OptionError(f"page {page_number} could not be indexed: {skipped.reason}")
    raise OptionError(
        f"{PurePath(document.source).name} has no page {page_number} in the index; it has "
        f"{document.total_pages} pages, counted from 1."
    )


def pages_of_ref(index: PageIndex, page_ref: str) -> list[FoundPage]:
    """The pages that have this picture, at least one.

    Raises:
        OptionError: Not a page reference, or of no page of the index.
    """
    if PageRef.parse(page_ref) is None:
        raise OptionError(
            "page_ref must be 'vdr-page:' and 64 hexadecimal digits; copy it from a search result."
        )
    found = [_of_stored(page) for page in index.pages_of_ref(page_ref)]
    if not found:
        raise OptionError(
            f"no page of the index has the picture {page_ref}; search again, and copy page_ref "
            f"from the results."
        )
    return found


def _of_stored(page: StoredPage) -> FoundPage:
    return FoundPage(
        source=page.source,
        page_number=page.page_number,
        page_label=page.page_label,
        total_pages=page.total_pages,
        page_ref=page.page_ref,
        text=page.text,
    )
