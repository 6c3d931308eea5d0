"""The ``Engine`` of an index in a folder."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from vdr_integrations.errors import IndexStoreError
from vdr_integrations.index.folder import disk
from vdr_integrations.index.folder.checking import check_document, check_files
from vdr_integrations.index.folder.database import create_database
from vdr_integrations.index.folder.manifest_row import ManifestRow
from vdr_integrations.index.folder.reader import FolderReader
from vdr_integrations.index.folder.tidying import optimize
from vdr_integrations.index.folder.writer import FolderWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index.engine import MaxSimSearch
    from vdr_integrations.index.index_settings import Settings
    from vdr_integrations.index.page_filter import Where
    from vdr_integrations.index.records import DocumentRecord, FileState
    from vdr_integrations.index.staged_document import DocumentSink
    from vdr_integrations.index.stored_page import StoredPage
    from vdr_integrations.types import Hit

__all__ = ["FolderEngine"]


class FolderEngine:
    """Any number of processes and threads read while one writes; see ``Engine``."""

    def __init__(self, folder: Path, *, wait_s: float) -> None:
        """Open the index of a folder.

        Raises:
            IndexNotFoundError: There is no index.
            IndexFormatError: Not an index, a damaged index, or one of another format.
            IndexStoreError: The file system refuses.
        """
        self._open_reader: FolderReader | None = FolderReader(folder)
        self.settings: Settings = self._open_reader.settings
        self.path = folder
        self._writer = FolderWriter(self._open_reader, wait_s=wait_s)

    @classmethod
    def create(cls, folder: Path, settings: Settings, *, wait_s: float) -> FolderEngine:
        """Make an empty index and open it.

        Raises:
            IndexFormatError: The folder holds other files.
            IndexStoreError: The folder holds an index already, or the file system refuses.
        """
        row = ManifestRow(secrets.token_hex(16), 0, settings)
        create_database(folder, manifest=row.columns())
        return cls(folder, wait_s=wait_s)

    @property
    def _reader(self) -> FolderReader:
        if self._open_reader is None:
            raise IndexStoreError(f"index {self.path} is closed; open it again.")
        return self._open_reader

    def documents(self, *, skip_altered: bool = False) -> list[DocumentRecord]:
        """See ``Engine``."""
        return self._reader.documents(skip_altered=skip_altered)

    def altered_documents(self) -> list[str]:
        """See ``Engine``."""
        return self._reader.altered_documents()

    def document(self, source: str) -> DocumentRecord | None:
        """See ``Engine``."""
        return self._reader.document(source)

    def count_pages(self, where: Where) -> int:
        """See ``Engine``."""
        return self._reader.count_pages(where)

    def pages_where(self, where: Where) -> list[StoredPage]:
        """See ``Engine``."""
        return self._reader.pages_where(where)

    def pages(self, page_ids: Sequence[str], *, vectors: bool) -> list[StoredPage]:
        """See ``Engine``."""
        return self._reader.pages(page_ids, vectors=vectors)

    def pages_of_ref(self, page_ref: str) -> list[StoredPage]:
        """See ``Engine``."""
        return self._reader.pages_of_ref(page_ref)

    def search(self, asked: MaxSimSearch) -> list[Hit]:
        """See ``Engine``."""
        return self._reader.search(asked)

    def search_dense(self, query: NDArray[np.float32], *, k: int, where: Where) -> list[Hit]:
        """See ``Engine``."""
        return self._reader.search_dense(query, k=k, where=where)

    def rerank(self, query: NDArray[np.float32], page_ids: Sequence[str]) -> list[Hit]:
        """See ``Engine``."""
        return self._reader.rerank(query, page_ids)

    def writing(self) -> AbstractContextManager[None]:
        """See ``Engine``."""
        return self._writing().transactions.locked()

    def begin(self, source: str) -> DocumentSink:
        """See ``Engine``."""
        return self._writing().begin(source)

    def update_file_state(self, source: str, file: FileState) -> None:
        """See ``Engine``."""
        self._writing().update_file_state(source, file)

    def remove_document(self, source: str) -> bool:
        """See ``Engine``."""
        return self._writing().remove_document(source)

    def remove_pages(self, page_ids: Sequence[str]) -> int:
        """See ``Engine``."""
        return self._writing().remove_pages(page_ids)

    def optimize(self) -> None:
        """See ``Engine``."""
        optimize(self._reader, self._writing())

    def clean_up(self) -> int:
        """See ``Engine``; in a folder, a killed writer leaves files but no pages."""
        with self.writing():
            disk.remove_leftovers(self.path, keep=self._reader.layout().file_names)
        return 0

    def check_files(self) -> Iterator[str]:
        """See ``Engine``."""
        return check_files(self._reader)

    def check_document(self, source: str) -> tuple[int, list[str]]:
        """See ``Engine``."""
        return check_document(self._reader, source)

    def close(self) -> None:
        """See ``Engine``."""
        self._open_reader = None

    def _writing(self) -> FolderWriter:
        _ = self._reader  # refuses a closed index
        return self._writer
