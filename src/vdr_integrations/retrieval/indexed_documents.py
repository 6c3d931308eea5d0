"""Finds documents and pages of an index by name; no other file may be opened."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError
from vdr_integrations.index.document_name import other_name_of
from vdr_integrations.index.stored_page import page_id
from vdr_integrations.retrieval.found_page import FoundPage, absolute_sources
from vdr_integrations.types import PageRef

if TYPE_CHECKING:
    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.index.records import DocumentRecord

__all__ = ["document_named", "page_of_document", "pages_of_ref"]


def document_named(index: PageIndex, name: str) -> DocumentRecord:
    """The only document with this source, path or file name; links lead to their file.

    Raises:
        OptionError: No document has the name, or several have it.
    """
    found: DocumentRecord | None = None
    if _is_utf8(name):  # an index stores names as UTF-8, so no document has another name
        names = dict.fromkeys([name, *absolute_sources(name)])
        found = next(filter(None, map(index.document, names)), None)
        found = found or _document_of_file_name(index, name) or _document_of_link(index, name)
    if found is None:
        raise OptionError(
            f"the index has no document {name!r}; copy the name from a search result or from the "
            f"list of documents (vdr info --documents, list_documents). No other files are opened."
        )
    return found


def _document_of_file_name(index: PageIndex, name: str) -> DocumentRecord | None:
    same = [one for one in index.documents() if PurePath(one.source).name == name]
    if len(same) > 1:
        raise OptionError(
            f"{len(same)} documents are called {name!r}; give the full path: "
            f"{', '.join(one.source for one in same[:5])}."
        )
    return same[0] if same else None


def _document_of_link(index: PageIndex, name: str) -> DocumentRecord | None:
    """The document whose file has this name too, as a hard link."""
    other = other_name_of(name, (one.source for one in index.documents()))
    return None if other is None else index.document(other)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def page_of_document(index: PageIndex, document: DocumentRecord, page_number: int) -> FoundPage:
    """A page of a document.

    Raises:
        OptionError: It is not in the index.
    """
    for page in index.get([page_id(document.source, page_number)]):
        return FoundPage.of(page)
    for skipped in document.skipped:
        if skipped.page_number == page_number:
            raise OptionError(f"page {page_number} could not be indexed: {skipped.reason}")
    raise OptionError(
        f"{PurePath(document.source).name} has no page {page_number} in the index; it has "
        f"{document.total_pages} pages, counted from 1."
    )


def pages_of_ref(index: PageIndex, page_ref: str) -> list[FoundPage]:
    """The pages that have this image, at least one.

    Raises:
        OptionError: Not a page reference, or no page of the index has it.
    """
    if PageRef.parse(page_ref) is None:
        raise OptionError(
            "page_ref must be 'vdr-page:' and 64 hexadecimal digits; copy it from a search result."
        )
    found = [FoundPage.of(page) for page in index.pages_of_ref(page_ref)]
    if not found:
        raise OptionError(
            f"no page of the index has the image {page_ref}; search again, and copy page_ref from "
            f"the results."
        )
    return found
