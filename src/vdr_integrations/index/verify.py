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
            for row, number in enumerate(numbers):
                page = matrix[row : row + 1]
                where = f"{document.source} page {number}"
                problem = _problem(where, page, dimension=index.manifest.dimension)
                right += problem is None
                wrong += [] if problem is None else [problem]
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
            found = _late_problems(index, document, page)
            right += not found
            wrong += found
    except IndexFormatError as error:
        wrong.append(str(error))
    return right, wrong


def _late_problems(
    index: LateInteractionIndex, document: DocumentRecord, page: StoredPage
) -> list[str]:
    assert page.vectors is not None  # noqa: S101  # they were asked for
    where = f"{document.source} page {page.page_number}"
    problems = [_problem(where, page.vectors, dimension=index.manifest.dimension)]
    if index.dense_manifest is not None:
        where = f"{where}, dense vector"
        if page.dense is None:
            problems.append(f"{where}: it is gone.")
        else:
            dimension = index.dense_manifest.dimension
            problems.append(_problem(where, page.dense[None], dimension=dimension))
    return [problem for problem in problems if problem is not None]


def _problem(where: str, matrix: NDArray[np.float32], *, dimension: int) -> str | None:
    """What is wrong with vectors, if anything is."""
    if matrix.ndim != 2 or matrix.shape[1] != dimension or not len(matrix):
        return f"{where}: its vectors have the shape {matrix.shape}."
    lengths = np.linalg.norm(matrix.astype(np.float64), axis=1)
    off = np.flatnonzero(~(np.abs(lengths - 1.0) <= _LENGTH_TOLERANCE))  # true for NaN too
    return f"{where}: the length of a vector is {lengths[off[0]]:g}, not 1." if off.size else None


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
