"""What an index needs from the place that stores it: a folder, or a Qdrant server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol, TypeVar

from vdr_integrations.index.search_steps import hits_by_text, hits_by_vectors, of_one_state
from vdr_integrations.index.unfinished.unfinished_documents import UnfinishedDocuments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index.index_settings import Settings
    from vdr_integrations.index.page_filter import Where
    from vdr_integrations.index.question_bank import QuestionBank
    from vdr_integrations.index.records import DocumentRecord, FileState
    from vdr_integrations.index.scoring.bm25 import PageTextScores
    from vdr_integrations.index.search_steps import Asked, Searches, SearchState
    from vdr_integrations.index.staged_document import DocumentSink
    from vdr_integrations.index.stored_page import StoredPage
    from vdr_integrations.types import Hit

__all__ = ["LOCK_WAIT_S", "Engine", "Reads", "Writes"]

T = TypeVar("T")

LOCK_WAIT_S = 30.0
"""How long a write waits for another writer: a commit takes milliseconds, a synchronisation may
take hours."""


class Reads(Protocol):
    """What is known of documents and pages."""

    def question_bank(self) -> QuestionBank | None:
        """The question bank that scores are corrected by; None if there is none."""
        ...

    def documents(self, *, skip_altered: bool = False) -> list[DocumentRecord]:
        """All documents, sorted by source."""
        ...

    def altered_documents(self) -> list[str]:
        """Names of documents whose record was altered, so that nothing of them can be read."""
        ...

    def document(self, source: str) -> DocumentRecord | None:
        """The document with this name, or None."""
        ...

    def count_pages(self, where: Where) -> int:
        """Number of pages that match."""
        ...

    def pages_where(self, where: Where) -> list[StoredPage]:
        """Pages that match, sorted by source and page number, without vectors."""
        ...

    def pages(self, page_ids: Sequence[str], *, vectors: bool) -> list[StoredPage]:
        """Pages with these ids, in this order; unknown ids are left out."""
        ...

    def pages_of_ref(self, page_ref: str) -> list[StoredPage]:
        """Pages with this image, sorted by source and page number."""
        ...


class Writes(Protocol):
    """Takes documents in and out."""

    def begin(self, source: str) -> DocumentSink:
        """Begin to write a document."""
        ...

    def update_file_state(self, source: str, file: FileState) -> None:
        """Record that a document's file was checked."""
        ...

    def remove_document(self, source: str) -> bool:
        """Remove a document; False if it does not exist."""
        ...

    def remove_pages(self, page_ids: Sequence[str]) -> int:
        """Remove pages, and a document together with its last page; returns how many pages."""
        ...


class Engine(ABC):
    """Stores and searches pages. Safe to call from any thread; arguments are checked by callers.

    Every method raises IndexStoreError or a subclass if the place cannot be used, and
    IndexFormatError if stored data is not what was written.

    Attributes:
        settings: What the index was made with.
        path: The folder, or the server and collection as text.
        keeps_processes_out: Whether :meth:`writing` also keeps out other processes.
    """

    settings: Settings
    path: Path | str
    keeps_processes_out: bool

    @property
    @abstractmethod
    def index_id(self) -> str:
        """Random id of the index; a deleted and newly made index has another one."""
        ...

    @property
    @abstractmethod
    def unfinished_folder(self) -> Path:
        """Where pages of unfinished documents are kept; it may not exist."""
        ...

    @property
    @abstractmethod
    def reads(self) -> Reads:
        """Answers questions about documents and pages."""

    @property
    @abstractmethod
    def searches(self) -> Searches:
        """Finds pages."""

    @property
    @abstractmethod
    def writes(self) -> Writes:
        """Changes documents."""

    @property
    def parts(self) -> tuple[Engine, ...]:
        """The indexes that this stands for: itself, if it is one."""
        return (self,)

    def unfinished(self) -> UnfinishedDocuments:
        """Pages that are kept of unfinished documents."""
        return UnfinishedDocuments(self)

    def question_bank(self) -> QuestionBank | None:
        """The question bank that scores are corrected by; None if there is none."""
        return self.reads.question_bank()

    def documents(self, *, skip_altered: bool = False) -> list[DocumentRecord]:
        """All documents, sorted by source."""
        return self.reads.documents(skip_altered=skip_altered)

    def altered_documents(self) -> list[str]:
        """Names of documents whose record was altered, so that nothing of them can be read."""
        return self.reads.altered_documents()

    def document(self, source: str) -> DocumentRecord | None:
        """The document with this name, or None."""
        return self.reads.document(source)

    def count_pages(self, where: Where) -> int:
        """Number of pages that match."""
        return self.reads.count_pages(where)

    def pages_where(self, where: Where) -> list[StoredPage]:
        """Pages that match, sorted by source and page number, without vectors."""
        return self.reads.pages_where(where)

    def pages(self, page_ids: Sequence[str], *, vectors: bool) -> list[StoredPage]:
        """Pages with these ids, in this order; unknown ids are left out."""
        return self.reads.pages(page_ids, vectors=vectors)

    def pages_of_ref(self, page_ref: str) -> list[StoredPage]:
        """Pages with this image, sorted by source and page number."""
        return self.reads.pages_of_ref(page_ref)

    def search(self, asked: Asked) -> list[Hit]:
        """The best pages by vectors, best first; by words too if the search says so."""
        return self._of_one_state(lambda state: hits_by_vectors(state, asked))

    def search_text(self, text: str, *, k: int, where: Where) -> list[Hit]:
        """The best pages by BM25, best first; only pages that have a word of the text."""
        return self._of_one_state(lambda state: hits_by_text(state, text, k=k, where=where))

    def text_scores(self, text: str, where: Where) -> PageTextScores:
        """BM25 of all pages with text that match."""

        def scored(state: SearchState) -> PageTextScores:
            search = state.by_words(text, where)
            return search.scores(search.corpus)

        return self._of_one_state(scored)

    def rerank(
        self, query: NDArray[np.float32], page_ids: Sequence[str], *, bias_weight: float
    ) -> list[Hit]:
        """These pages with their exact scores, best first; unknown ids are left out."""
        return self._of_one_state(
            lambda state: state.rerank(query, page_ids, bias_weight=bias_weight)
        )

    def _of_one_state(self, work: Callable[[SearchState], T]) -> T:
        return of_one_state(self.searches, work, place=self.path)

    def begin(self, source: str) -> DocumentSink:
        """Begin to write a document."""
        return self.writes.begin(source)

    def update_file_state(self, source: str, file: FileState) -> None:
        """Record that a document's file was checked."""
        return self.writes.update_file_state(source, file)

    def remove_document(self, source: str) -> bool:
        """Remove a document; False if it does not exist."""
        return self.writes.remove_document(source)

    def remove_pages(self, page_ids: Sequence[str]) -> int:
        """Remove pages, and a document together with its last page; returns how many pages."""
        return self.writes.remove_pages(page_ids)

    @abstractmethod
    def writing(self) -> AbstractContextManager[None]:
        """Keep other writers out, if the place can do that."""
        ...

    @abstractmethod
    def optimize(self) -> None:
        """Free the space of removed pages."""
        ...

    @abstractmethod
    def clean_up(self) -> int:
        """Delete pages that a killed writer left; returns how many."""
        ...

    @abstractmethod
    def check_files(self) -> Iterator[str]:
        """Problems that are not part of one document, one sentence each."""
        ...

    @abstractmethod
    def check_document(self, source: str) -> tuple[int, list[str]]:
        """How many pages of a document are intact, and the problems of the others."""
        ...

    @abstractmethod
    def close(self) -> None:
        """Close; a second call does nothing."""
        ...
