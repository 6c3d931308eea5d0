"""Is an index whole, and does it still show its files?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vdr_integrations.index.sync.changed_files import read_file_state, surely_unchanged

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.index.records import DocumentRecord

__all__ = ["ChangedFile", "Verification", "verify_index"]

_NO_FILE = "0" * 64
"""Stands for the hash of a document that was no file."""


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file that is not what was indexed.

    Attributes:
        source: The document.
        state: ``"changed"``, ``"gone"`` or ``"unreadable"``.
    """

    source: str
    state: Literal["changed", "gone", "unreadable"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at and found.

    Attributes:
        documents: Looked at.
        pages: That are as they were written.
        problems: What is damaged, a sentence each; empty for a whole index.
        files: That are not as they were indexed; no damage of the index.
    """

    documents: int
    pages: int
    problems: tuple[str, ...]
    files: tuple[ChangedFile, ...]


def verify_index(
    index: PageIndex, *, on_document: Callable[[int, int], None] | None = None
) -> Verification:
    """Read every byte of an index, and look at every file.

    Files are compared as ``sync_index`` does: by size and modification time, or by their SHA-256
    where those do not tell. Documents that were never files are left out of that.

    Args:
        index: Open, of either kind.
        on_document: Called with how many documents are done, and how many there are.

    Raises:
        IndexFormatError: So damaged that its documents cannot be listed.
        IndexLockedError: Another process keeps it busy.
    """
    problems = list(index.check_files())
    documents = index.documents(skip_altered=True)
    files: list[ChangedFile] = []
    pages = 0
    for done, document in enumerate(documents):
        if on_document is not None:
            on_document(done, len(documents))
        right, wrong = index.check_document(document.source)
        pages += right
        problems += wrong
        state = _file_state(document)
        if state is not None:
            files.append(ChangedFile(document.source, state))
    return Verification(len(documents), pages, tuple(problems), tuple(files))


def _file_state(document: DocumentRecord) -> Literal["changed", "gone", "unreadable"] | None:
    path, known = Path(document.source), document.file
    if known.sha256 == _NO_FILE or not path.is_absolute():
        return None
    try:
        if surely_unchanged(path, known) or read_file_state(path).sha256 == known.sha256:
            return None
    except (FileNotFoundError, NotADirectoryError):
        return "gone"
    except OSError:
        return "unreadable"
    return "changed"
