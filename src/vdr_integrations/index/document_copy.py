"""Store the pages of a document a second time, under another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError
from vdr_integrations.index.staged_document import PreparedPage
from vdr_integrations.index.stored_page import page_id

if TYPE_CHECKING:
    from vdr_integrations.index.engine import Engine
    from vdr_integrations.index.records import DocumentRecord
    from vdr_integrations.index.stored_page import StoredPage

__all__ = ["copy_document", "prepared_page"]

_PAGES_AT_ONCE = 32
"""Pages in memory at a time: 13 MB of 768 token vectors of 128 numbers each."""


def copy_document(engine: Engine, source: str, document: DocumentRecord) -> None:
    """Make ``document`` of the pages of ``source``.

    Tokens were pooled when they were stored, and are not pooled again. They are rounded again, but
    all formats give back the same numbers for numbers that they rounded before.

    Args:
        engine: The engine of the index.
        source: Name of the document whose pages are copied.
        document: The copy; it has the same number of pages.

    Raises:
        OptionError: There is no document ``source``.
        IndexFormatError: A page is not what was written; nothing is copied.
    """
    ids = [page_id(source, number) for number in range(1, document.total_pages + 1)]
    if not engine.pages(ids[:1], vectors=False) and not engine.pages(ids, vectors=False):
        raise OptionError(f"index {engine.path} has no pages of {source!r} to copy.")
    sink = engine.begin(document.source)
    try:
        for start in range(0, len(ids), _PAGES_AT_ONCE):
            for page in engine.pages(ids[start : start + _PAGES_AT_ONCE], vectors=True):
                sink.write(prepared_page(page))
        sink.commit(document)
    except BaseException:
        sink.discard()
        raise


def prepared_page(page: StoredPage) -> PreparedPage:
    """A stored page, ready to be stored again; its vectors must have been read."""
    return PreparedPage(page.record, page.metadata, page.vectors, page.dense, page.bias)
