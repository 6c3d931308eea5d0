"""Check an index for damage, and whether its files have changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vdr_integrations.index.sync.changed_files import what_became_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.index.unfinished.unfinished_documents import UnfinishedPages

__all__ = ["ChangedFile", "Verification", "verify_index"]


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file that is no longer what was indexed.

    Attributes:
        source: Name of the document.
        state: ``"changed"``, ``"gone"`` or ``"unreadable"``.
    """

    source: str
    state: Literal["changed", "gone", "unreadable"]


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of :func:`verify_index`.

    Attributes:
        documents: Number of documents that were checked.
        pages: Number of pages that are as they were written.
        problems: What is damaged, one sentence each; empty for an intact index.
        files: Files that changed since they were indexed; this is not damage of the index.
        unfinished: Pages that are kept of documents that are not in the index yet. Only intact ones
            count; ``sync_index`` encodes the others again.
    """

    documents: int
    pages: int
    problems: tuple[str, ...]
    files: tuple[ChangedFile, ...]
    unfinished: UnfinishedPages


def verify_index(
    index: PageIndex, *, on_document: Callable[[int, int], None] | None = None
) -> Verification:
    """Read every byte of an index, and check every indexed file.

    Files are compared as ``sync_index`` does: by size and modification time, or by their SHA-256
    if these cannot decide. Documents that were never files are not compared.

    Args:
        index: An open index of either kind.
        on_document: Called with the number of checked documents and the number of all documents.

    Raises:
        IndexFormatError: The index is so damaged that its documents cannot be listed.
        IndexLockedError: Another process keeps the index busy.
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
        state = what_became_of(document.source, document.file)
        if state is not None:
            files.append(ChangedFile(document.source, state))
    kept = index.unfinished.kept(read_all=True)
    return Verification(len(documents), pages, tuple(problems), tuple(files), kept)
