"""How many pages a synchronisation will have done in the end, while files are not opened yet."""

from __future__ import annotations

__all__ = ["expected_pages"]


def expected_pages(
    *,
    pages_opened: int,
    documents_opened: int,
    documents_waiting: int,
    pages_known: int,
    documents_known: int,
) -> int | None:
    """The pages of all files that are new or changed; None if nothing is known about them.

    A file that was not opened yet counts as the mean of those that were opened, or else of the
    documents of the index.

    Args:
        pages_opened: Pages of the files that were opened.
        documents_opened: Number of these files.
        documents_waiting: Number of new files that were not opened yet.
        pages_known: Pages of the documents of the index before the run.
        documents_known: Number of these documents.
    """
    if not documents_waiting:
        return pages_opened
    pages, documents = pages_opened, documents_opened
    if not documents:
        pages, documents = pages_known, documents_known
    if not documents:
        return None
    return pages_opened + max(round(documents_waiting * pages / documents), documents_waiting)
