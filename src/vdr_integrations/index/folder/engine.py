"""The ``Engine`` of an index in a folder."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from vdr_integrations.errors import IndexNotFoundError, IndexStoreError
from vdr_integrations.index.engine import Engine
from vdr_integrations.index.folder import disk
from vdr_integrations.index.folder.checking import check_document, check_files
from vdr_integrations.index.folder.database import (
    create_database,
    make_again,
    reading,
)
from vdr_integrations.index.folder.file_format import DATABASE_NAME, UNFINISHED_NAME
from vdr_integrations.index.folder.folder_searches import FolderSearches
from vdr_integrations.index.folder.manifest_row import ManifestRow
from vdr_integrations.index.folder.reader import FolderReader
from vdr_integrations.index.folder.tidying import optimize
from vdr_integrations.index.folder.writer import FolderWriter
from vdr_integrations.index.folder.writer_lock import WriterLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from vdr_integrations.index.index_settings import Settings
    from vdr_integrations.index.question_bank import QuestionBank

__all__ = ["FolderEngine"]


class FolderEngine(Engine):
    """Any number of processes and threads read while one writes; see ``Engine``."""

    keeps_processes_out = True

    def __init__(self, folder: Path, *, wait_s: float) -> None:
        """Open the index of a folder.

        Raises:
            IndexNotFoundError: There is no index.
            IndexFormatError: Not an index, a damaged index, or one of another format.
            IndexStoreError: The file system refuses.
        """
        reader = FolderReader(folder)
        self.settings: Settings = reader.settings
        self.path = self._folder = folder
        # All that holds files open: none is left when this is.
        self._open: tuple[FolderReader, FolderSearches, FolderWriter] | None = (
            reader,
            FolderSearches(reader),
            FolderWriter(reader, wait_s=wait_s),
        )

    @classmethod
    def create(
        cls, folder: Path, settings: Settings, *, bank: QuestionBank | None = None, wait_s: float
    ) -> FolderEngine:
        """Make an empty index and open it; one without documents can be made again.

        Args:
            folder: A new or empty folder.
            settings: Settings of the index.
            bank: The question bank that the settings name.
            wait_s: How long to wait for another writer.

        Raises:
            IndexFormatError: The folder holds other files.
            IndexLockedError: Another writer is at work in an index without documents.
            IndexStoreError: The folder holds an index already, or the file system refuses.
        """
        row = ManifestRow(secrets.token_hex(16), 0, settings)
        rows = None if bank is None else bank.to_bytes()
        if _differs_without_documents(folder, settings):
            with WriterLock(folder).held(wait_s=wait_s):
                make_again(folder, manifest=row.columns(), bank=rows)
        else:
            create_database(folder, manifest=row.columns(), bank=rows)
        return cls(folder, wait_s=wait_s)

    @property
    def index_id(self) -> str:
        """See ``Engine``."""
        return self.reads.index_id()

    @property
    def unfinished_folder(self) -> Path:
        """See ``Engine``."""
        return self._folder / UNFINISHED_NAME

    @property
    def reads(self) -> FolderReader:
        """See ``Engine``."""
        return self._opened[0]

    @property
    def searches(self) -> FolderSearches:
        """See ``Engine``."""
        return self._opened[1]

    @property
    def writes(self) -> FolderWriter:
        """See ``Engine``."""
        return self._opened[2]

    def writing(self) -> AbstractContextManager[None]:
        """See ``Engine``."""
        return self.writes.transactions.locked()

    def optimize(self) -> None:
        """See ``Engine``."""
        optimize(self.reads, self.writes)

    def clean_up(self) -> int:
        """See ``Engine``; in a folder, a killed writer leaves files but no pages."""
        with self.writing():
            disk.remove_leftovers(self._folder, keep=self.reads.layout().file_names)
        return 0

    def check_files(self) -> Iterator[str]:
        """See ``Engine``."""
        return check_files(self.reads)

    def check_document(self, source: str) -> tuple[int, list[str]]:
        """See ``Engine``."""
        return check_document(self.reads, source)

    def close(self) -> None:
        """See ``Engine``."""
        self._open = None

    @property
    def _opened(self) -> tuple[FolderReader, FolderSearches, FolderWriter]:
        if self._open is None:
            raise IndexStoreError(f"index {self.path} is closed; open it again.")
        return self._open


def _differs_without_documents(folder: Path, settings: Settings) -> bool:
    """Whether there is an index with other settings, without documents and without kept pages."""
    if not (folder / DATABASE_NAME).is_file() or any((folder / UNFINISHED_NAME).glob("*.pages")):
        return False
    try:
        with reading(folder) as connection:
            row = ManifestRow.read(connection, folder)
    except IndexNotFoundError:  # a writer was killed before it had made it
        return False
    return row.documents == 0 and row.settings != settings
