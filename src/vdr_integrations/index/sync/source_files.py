"""The file of a document in a synchronisation: where its bytes are, and whether they changed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from vdr_integrations.index.sync.changed_files import read_file_state, surely_unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vdr_integrations.index.records import FileState
    from vdr_integrations.index.sync.survey import Survey

__all__ = ["FoundFiles", "LocalFile", "SourceFile"]


class SourceFile(ABC):
    """A file that becomes a document.

    Attributes:
        source: Name of the document.
        path: Where its bytes are read; there after :meth:`read_state`.
    """

    source: str
    path: Path

    @abstractmethod
    def is_surely_unchanged(self, known: FileState) -> bool:
        """Whether nothing of it has to be read to know that it is as it was.

        Raises:
            OSError: It cannot be looked at.
        """

    @abstractmethod
    def read_state(self) -> FileState:
        """Read all of it.

        Raises:
            OSError: It cannot be read now.
            DocumentOpenError: See ``read_file_state``.
        """

    def release(self) -> None:  # noqa: B027  # a local file stays where it is
        """Nothing of it is read any more."""


class LocalFile(SourceFile):
    """A file of this machine."""

    def __init__(self, path: Path) -> None:
        """Look at nothing yet; ``path`` is absolute, and the name of the document."""
        self.source = path.as_posix()
        self.path = path

    def is_surely_unchanged(self, known: FileState) -> bool:
        """See ``SourceFile``: by size and times."""
        return surely_unchanged(self.path, known)

    def read_state(self) -> FileState:
        """See ``SourceFile``."""
        return read_file_state(self.path)


class FoundFiles(NamedTuple):
    """What a run works on.

    Attributes:
        survey: What was found of this machine's files.
        files: All files, those of the survey and others.
        owns: Whether a document of the index is this run's business; the others stay as they are.
    """

    survey: Survey
    files: Sequence[SourceFile]
    owns: Callable[[str], bool] = lambda _: True
