"""An object of a store as the file of a document: it is copied here while it is indexed."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from vdr_integrations.index.sync.changed_files import RACE_NS, read_file_state
from vdr_integrations.index.sync.source_files import SourceFile

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.index.records import FileState
    from vdr_integrations.pages.remote_documents import RemoteDocument

__all__ = ["FetchedFile"]


class FetchedFile(SourceFile):
    """An object, and the folder for its copy."""

    def __init__(self, document: RemoteDocument, folder: Path) -> None:
        """Fetch nothing yet.

        Args:
            document: The object.
            folder: A folder that does not exist; it is made for the copy, and removed.
        """
        self.source = document.source
        self.path = folder / document.file_name
        self._document = document
        self._folder = folder

    def is_surely_unchanged(self, known: FileState) -> bool:
        """See ``SourceFile``: by size and the time of writing, if the store tells it."""
        now = self._document
        return (
            now.modified_ns > 0
            and (now.size_bytes, now.modified_ns) == (known.size_bytes, known.modified_ns)
            and known.modified_ns + RACE_NS < known.checked_ns
        )

    def read_state(self) -> FileState:
        """See ``SourceFile``; the object is fetched."""
        self._folder.mkdir()
        self._document.fetch(self.path)
        is_as_listed = self.path.stat().st_size == self._document.size_bytes
        modified_ns = self._document.modified_ns if is_as_listed else 0
        os.utime(self.path, ns=(modified_ns, modified_ns))
        state = read_file_state(self.path)
        # What was written after the listing looks changed the next time.
        return replace(state, modified_ns=modified_ns, checked_ns=self._document.listed_ns)

    def release(self) -> None:
        """See ``SourceFile``: the copy is removed."""
        shutil.rmtree(self._folder, ignore_errors=True)
