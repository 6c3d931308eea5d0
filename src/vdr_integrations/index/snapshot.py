"""All vectors of an index in memory, as of one generation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.errors import OptionError
from vdr_integrations.index.storage import damaged

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Snapshot", "load_snapshot", "stored_vectors"]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Row ``i`` of each array is one page; rows are in the order of source and page number.

    Attributes:
        generation: Grows with every write to the index.
        vectors: float32 (pages, dimension), L2-normalised.
        document_ids: int64 (pages,).
        page_numbers: int64 (pages,), 1-based.
    """

    generation: int
    vectors: NDArray[np.float32]
    document_ids: NDArray[np.int64]
    page_numbers: NDArray[np.int64]


def load_snapshot(
    connection: sqlite3.Connection, *, folder: Path, dimension: int, generation: int
) -> Snapshot:
    """Read all vectors, inside the caller's transaction.

    Raises:
        IndexFormatError: A document's vectors are not what was written.
    """
    page_keys = np.array(
        connection.execute(
            "SELECT document_id, page_number FROM pages "
            "JOIN documents ON documents.id = document_id ORDER BY source, page_number"
        ).fetchall(),
        dtype=np.int64,
    ).reshape(-1, 2)
    vectors = np.empty((len(page_keys), dimension), dtype=np.float32)
    filled = 0
    for source, digest, blob in connection.execute(
        "SELECT source, vectors_sha256, vectors FROM documents ORDER BY source"
    ):
        if hashlib.sha256(blob).digest() != digest:
            raise damaged(folder, f"altered vectors of {source}")
        rows = np.frombuffer(blob, dtype="<f4").reshape(-1, dimension)
        if filled + len(rows) > len(vectors):
            break
        vectors[filled : filled + len(rows)] = rows
        filled += len(rows)
    if filled != len(vectors):
        raise damaged(folder, "numbers of pages and vectors differ")
    return Snapshot(
        generation=generation,
        vectors=vectors,
        document_ids=page_keys[:, 0].copy(),
        page_numbers=page_keys[:, 1].copy(),
    )


def stored_vectors(
    connection: sqlite3.Connection, source: str, *, folder: Path, dimension: int
) -> tuple[list[int], NDArray[np.float32]]:
    """Page numbers of one document and its vectors, float32 (pages, dimension).

    Raises:
        OptionError: There is no such document.
        IndexFormatError: They are not what was written.
    """
    found = connection.execute(
        "SELECT id, vectors_sha256, vectors FROM documents WHERE source = ?", (source,)
    ).fetchone()
    if found is None:
        raise OptionError(f"index {folder} has no document {source!r}.")
    document_id, digest, blob = found
    if hashlib.sha256(blob).digest() != digest:
        raise damaged(folder, f"altered vectors of {source}")
    numbers: list[int] = [
        number
        for (number,) in connection.execute(
            "SELECT page_number FROM pages WHERE document_id = ? ORDER BY page_number",
            (document_id,),
        )
    ]
    if len(blob) != 4 * dimension * len(numbers):
        raise damaged(folder, f"numbers of pages and vectors of {source} differ")
    return numbers, np.frombuffer(blob, dtype="<f4").reshape(-1, dimension)
