"""What an index asks of the place that keeps it: a folder, or a Qdrant server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index.index_settings import Settings
    from vdr_integrations.index.page_filter import Where
    from vdr_integrations.index.records import DocumentRecord, FileState
    from vdr_integrations.index.staged_document import DocumentSink
    from vdr_integrations.index.stored_page import StoredPage
    from vdr_integrations.types import Hit

__all__ = ["Engine", "MaxSimSearch"]


@dataclass(frozen=True, slots=True, eq=False)
class MaxSimSearch:
    """What a search by late interaction is asked for.

    Attributes:
        query: float32 (query tokens, dimension), rows of length 1.
        k: At most so many hits.
        where: Only pages that fit.
        candidates: Pages that the first stage brings; None for as many as it takes.
        exhaustive: Compare all pages one by one.
        dense_query: float32 (dense dimension,) of length 1, to choose candidates by.
    """

    query: NDArray[np.float32]
    k: int
    where: Where
    candidates: int | None = None
    exhaustive: bool = False
    dense_query: NDArray[np.float32] | None = None


class Engine(Protocol):
    """Keeps and searches pages. Safe to call from any thread; arguments have been checked.

    Every method raises IndexStoreError, or one of its kinds, when the place cannot be used, and
    IndexFormatError where what it holds is not what was written.
    """

    settings: Settings

    @property
    def path(self) -> Path | str:
        """The folder, or the server and collection as text."""
        ...

    def documents(self, *, skip_altered: bool = False) -> list[DocumentRecord]:
        """All documents, by source."""
        ...

    def altered_documents(self) -> list[str]:
        """Documents of which nothing can be read."""
        ...

    def document(self, source: str) -> DocumentRecord | None:
        """The document of a name, or None."""
        ...

    def count_pages(self, where: Where) -> int:
        """Pages that fit."""
        ...

    def pages_where(self, where: Where) -> list[StoredPage]:
        """Pages that fit, by source and page number, without vectors."""
        ...

    def pages(self, page_ids: Sequence[str], *, vectors: bool) -> list[StoredPage]:
        """Pages of these ids, in their order; unknown ids are left out."""
        ...

    def pages_of_ref(self, page_ref: str) -> list[StoredPage]:
        """Pages with this picture, by source and page number."""
        ...

    def search(self, asked: MaxSimSearch) -> list[Hit]:
        """The best pages by MaxSim, best first."""
        ...

    def search_dense(self, query: NDArray[np.float32], *, k: int, where: Where) -> list[Hit]:
        """The best pages by dense vectors, best first."""
        ...

    def rerank(self, query: NDArray[np.float32], page_ids: Sequence[str]) -> list[Hit]:
        """These pages with their exact scores, best first; unknown ids are left out."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Keep other writers out, where the place can."""
        ...

    def begin(self, source: str) -> DocumentSink:
        """A document on its way in."""
        ...

    def update_file_state(self, source: str, file: FileState) -> None:
        """Note that a document's file was looked at."""
        ...

    def remove_document(self, source: str) -> bool:
        """Take a document away; False if there was none."""
        ...

    def remove_pages(self, page_ids: Sequence[str]) -> int:
        """Take pages away, and a document with its last one; how many there were."""
        ...

    def optimize(self) -> None:
        """Give back the space of what was removed."""
        ...

    def clean_up(self) -> int:
        """Delete pages that a killed writer left; how many there were."""
        ...

    def check_files(self) -> Iterator[str]:
        """What is wrong beside documents, a sentence each."""
        ...

    def check_document(self, source: str) -> tuple[int, list[str]]:
        """How many pages of a document are right, and what is wrong with the others."""
        ...

    def close(self) -> None:
        """Let go; a second call does nothing."""
        ...
