"""Documents and pages of several indexes, as those of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import IndexFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vdr_integrations.index.engine import Engine
    from vdr_integrations.index.page_filter import Where
    from vdr_integrations.index.question_bank import QuestionBank
    from vdr_integrations.index.records import DocumentRecord
    from vdr_integrations.index.shards.doubles import Doubles
    from vdr_integrations.index.stored_page import StoredPage

__all__ = ["JoinedReads"]


class JoinedReads:
    """Reads several indexes; see ``Reads``.

    Each method raises IndexMismatchError if a document is in two of them.
    """

    def __init__(
        self, parts: Sequence[Engine], doubles: Doubles, refuse_doubles: Callable[[], object]
    ) -> None:
        """Read these.

        Args:
            parts: The indexes.
            doubles: Looks for documents that are in two of them.
            refuse_doubles: Looks at the committed states of all.
        """
        self._parts, self._doubles, self._refuse_doubles = parts, doubles, refuse_doubles

    def question_bank(self) -> QuestionBank | None:
        """See ``Reads``; all indexes have the same."""
        return self._parts[0].question_bank()

    def documents(self, *, skip_altered: bool = False) -> list[DocumentRecord]:
        """See ``Reads``."""
        found = [part.documents(skip_altered=skip_altered) for part in self._parts]
        self._doubles.are_none([[one.source for one in listed] for listed in found], sure=True)
        every = [document for listed in found for document in listed]
        return sorted(every, key=lambda document: document.source)

    def altered_documents(self) -> list[str]:
        """See ``Reads``."""
        return sorted({name for part in self._parts for name in part.altered_documents()})

    def document(self, source: str) -> DocumentRecord | None:
        """See ``Reads``."""
        found = [part.document(source) for part in self._parts]
        holding = [[] if one is None else [one.source] for one in found]
        self._doubles.are_none(holding, sure=True)
        return next(filter(None, found), None)

    def count_pages(self, where: Where) -> int:
        """See ``Reads``."""
        self._refuse_doubles()
        return sum(part.count_pages(where) for part in self._parts)

    def pages_where(self, where: Where) -> list[StoredPage]:
        """See ``Reads``."""
        self._refuse_doubles()
        return _sorted(page for part in self._parts for page in part.pages_where(where))

    def pages(self, page_ids: Sequence[str], *, vectors: bool) -> list[StoredPage]:
        """See ``Reads``."""
        self._refuse_doubles()
        found = [page for part in self._parts for page in part.pages(page_ids, vectors=vectors)]
        by_id = {page.page_id: page for page in found}
        return [by_id[page_id] for page_id in page_ids if page_id in by_id]

    def pages_of_ref(self, page_ref: str) -> list[StoredPage]:
        """See ``Reads``."""
        self._refuse_doubles()
        return _sorted(page for part in self._parts for page in part.pages_of_ref(page_ref))

    def holders(self, source: str) -> list[Engine]:
        """The index that holds a document; those that may hold it if it is altered; or none.

        Raises:
            IndexMismatchError: Two hold it.
        """
        found: list[Engine] = []
        perhaps: list[Engine] = []
        for part in self._parts:
            try:
                if part.document(source) is not None:
                    found.append(part)
            except IndexFormatError:  # it is altered, or another one is, whose name is not sure
                perhaps.append(part)
        self._doubles.are_none([[source] if one in found else [] for one in self._parts], sure=True)
        return found or perhaps


def _sorted(pages: Iterable[StoredPage]) -> list[StoredPage]:
    return sorted(pages, key=lambda page: (page.source, page.page_number))
