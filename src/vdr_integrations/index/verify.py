"""Is an index whole, and does it still show its files?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from vdr_integrations.errors import IndexFormatError
from vdr_integrations.index.dense import DenseIndex
from vdr_integrations.index.file_state import read_file_state, surely_unchanged
from vdr_integrations.index.storage import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from vdr_integrations.index.late_interaction import LateInteractionIndex, StoredPage
    from vdr_integrations.index.records import DocumentRecord

    Index: TypeAlias = DenseIndex | LateInteractionIndex

__all__ = ["ChangedFile", "Verification", "verify_index"]

_LENGTH_TOLERANCE = 5e-3
"""Vectors are written with a length of 1 within 0.001; float16 rounds them once more."""

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
        pages: Whose vectors were read and are right.
        problems: What is damaged, a sentence each; empty for a whole index.
        files: That are not as they were indexed; no damage of the index.
    """

    documents: int
    pages: int
    problems: tuple[str, ...]
    files: tuple[ChangedFile, ...]


def verify_index(
    index: Index, *, on_document: Callable[[int, int], None] | None = None
) -> Verification:
    """Read every vector of an index, and look at every file.

    Files are compared as ``sync_index`` does: by size and modification time, or by their SHA-256
    where those do not tell. Documents that were never files are left out of that.

    Args:
        index: Open. Late-interaction folders have had their list of pages checked by opening.
        on_document: Called with how many documents are done, and how many there are.

    Raises:
        IndexFormatError: So damaged that its documents cannot be listed.
        IndexLockedError: Another process keeps it busy.
    """
    problems = list(_file_problems(index)) if isinstance(index, DenseIndex) else []
    documents = index.documents()
    files: list[ChangedFile] = []
    pages = 0
    for done, document in enumerate(documents):
        if on_document is not None:
            on_document(done, len(documents))
        found, wrong = _checked(index, document)
        pages += found
        problems += wrong
        state = _file_state(document)
        if state is not None:
            files.append(ChangedFile(document.source, state))
    counted = index.count_pages()
    if counted != pages and not problems:
        problems.append(f"{counted} pages are listed and {pages} can be read.")
    return Verification(len(documents), pages, tuple(problems), tuple(files))


def _file_problems(index: DenseIndex) -> Iterator[str]:
    with transaction(index.path) as connection:
        for (finding,) in connection.execute("PRAGMA integrity_check(10)"):
            if finding != "ok":
                yield f"the database is damaged: {finding}."


def _checked(index: Index, document: DocumentRecord) -> tuple[int, list[str]]:
    """Pages that are right, and what is wrong with the others."""
    wrong: list[str] = []
    right = 0
    try:
        if isinstance(index, DenseIndex):
            numbers, matrix = index.vectors_of(document.source)
            pages = [(number, matrix[row : row + 1]) for row, number in enumerate(numbers)]
            right, wrong = _judged(document, pages, dimension=index.manifest.dimension)
            indexed = document.total_pages - len(document.skipped)
            if len(numbers) != indexed:
                wrong.append(f"{document.source}: {len(numbers)} of {indexed} pages are there.")
            return right, wrong
        for page_id in index.page_ids({"source": document.source}):
            try:
                page = index.get([page_id], with_vectors=True)[0]
            except IndexFormatError as error:
                wrong.append(str(error))
                continue
            assert page.vectors is not None  # noqa: S101  # they were asked for
            found, bad = _judged(
                document, [(page.page_number, page.vectors)], dimension=index.manifest.dimension
            )
            dense = _dense_problem(index, document, page)
            right += found if dense is None else 0
            wrong += bad if dense is None else [*bad, dense]
    except IndexFormatError as error:
        wrong.append(str(error))
    return right, wrong


def _dense_problem(
    index: LateInteractionIndex, document: DocumentRecord, page: StoredPage
) -> str | None:
    """What is wrong with the vector that lies beside those of a page's tokens, if it should."""
    if index.dense_manifest is None:
        return None
    where = f"{document.source} page {page.page_number}, dense vector"
    if page.dense is None:
        return f"{where}: it is gone."
    pages = [(page.page_number, page.dense[None])]
    _, wrong = _judged(document, pages, dimension=index.dense_manifest.dimension, what=where)
    return wrong[0] if wrong else None


def _judged(
    document: DocumentRecord,
    pages: list[tuple[int, NDArray[np.float32]]],
    *,
    dimension: int,
    what: str | None = None,
) -> tuple[int, list[str]]:
    wrong: list[str] = []
    for number, matrix in pages:
        where = what or f"{document.source} page {number}"
        if matrix.ndim != 2 or matrix.shape[1] != dimension or not len(matrix):
            wrong.append(f"{where}: its vectors have the shape {matrix.shape}.")
            continue
        lengths = np.linalg.norm(matrix.astype(np.float64), axis=1)
        off = np.flatnonzero(~(np.abs(lengths - 1.0) <= _LENGTH_TOLERANCE))  # true for NaN too
        if off.size:
            wrong.append(f"{where}: the length of a vector is {lengths[off[0]]:g}, not 1.")
    return len(pages) - len(wrong), wrong


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
