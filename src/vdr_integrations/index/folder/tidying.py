"""Free space: vectors of removed pages, rows without a document, lists of the first stage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.folder import disk
from vdr_integrations.index.folder.database import shrink
from vdr_integrations.index.folder.file_format import PAGE_TABLES
from vdr_integrations.index.folder.page_words import words_blob
from vdr_integrations.index.folder.vector_bytes import dense_stride, token_length

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from vdr_integrations.index.folder.file_format import VectorKind
    from vdr_integrations.index.folder.reader import FolderReader
    from vdr_integrations.index.folder.snapshot import Snapshot
    from vdr_integrations.index.folder.transaction import Transaction
    from vdr_integrations.index.folder.vector_places import Places
    from vdr_integrations.index.folder.writer import FolderWriter
    from vdr_integrations.index.scoring.words import WordCounts

__all__ = ["optimize"]

_FULL = 0.95
"""A file is written again if less than this share of its bytes is in use."""
_PAGES_AT_ONCE = 1000


def optimize(reader: FolderReader, writer: FolderWriter) -> None:
    """Write files of vectors again without removed pages; readers can go on meanwhile.

    Pages are copied as they are, altered ones too, so that nothing is lost that can still be read.

    Raises:
        IndexLockedError: Another writer is at work.
        IndexStoreError: The file system refuses, or has no room for the copy; nothing is lost.
    """
    with writer.transactions.locked():
        snapshot = reader.snapshot()
        # It is not known where the pages of an altered document lie, so none of them may be lost.
        snapshot.refuse_altered(None)
        for kind in ("tokens", "dense"):
            _compact(snapshot, writer, kind)
            snapshot = reader.snapshot()
        recounted = reader.recounted_words(snapshot)
        with writer.transactions.begin() as step:
            _remove_unowned_rows(step, snapshot)
            _store_words(step, snapshot, recounted)
        writer.first_stage.bring_up(everything=True)
        shrink(writer.folder)
        keep = reader.layout().file_names
        disk.remove_leftovers(writer.folder, keep=keep)


def _compact(snapshot: Snapshot, writer: FolderWriter, kind: VectorKind) -> None:
    """Move pages out of files that hold many removed pages, and drop those files."""
    name = "token" if kind == "tokens" else "dense"
    lengths = _lengths(snapshot, kind)
    numbers = snapshot.places[f"{name}_segment"]
    sparse = {
        segment.number
        for segment in snapshot.manifest.layout.segments
        if segment.kind == kind
        and int(lengths[numbers == segment.number].sum()) < _FULL * segment.used_bytes
    }
    moved = np.flatnonzero(np.isin(numbers, list(sparse)))
    if not sparse or _has_missing_bytes(snapshot, moved, name, lengths):
        return
    with writer.transactions.begin() as step:
        layout = step.layout
        kept = tuple(one for one in layout.segments if one.number not in sparse)
        layout = replace(layout, segments=kept)
        segment = np.zeros(len(snapshot), np.int64)
        offset = np.zeros(len(snapshot), np.int64)

        for group in np.split(moved, np.arange(_PAGES_AT_ONCE, len(moved), _PAGES_AT_ONCE)):
            if len(group):
                parts = _bytes(snapshot, group, name, lengths)
                layout, number, start = writer.append(layout, kind, parts)
                segment[group] = number
                offset[group] = start + np.cumsum([0, *lengths[group][:-1].tolist()])
        step.set_layout(layout)
        changed = {int(one) for one in snapshot.document_ids[moved]}
        index_of_row = dict(zip(snapshot.places["row"].tolist(), range(len(snapshot)), strict=True))
        for document in (snapshot.documents[one] for one in sorted(changed)):
            taken = step.take(document.source)
            assert taken is not None  # noqa: S101  # the lock is held
            record, places = taken
            places = _moved(places, index_of_row, segment, offset, name)
            step.add(document.source, record, places)


def _bytes(
    snapshot: Snapshot, pages: NDArray[np.intp], name: str, lengths: NDArray[np.int64]
) -> Iterator[NDArray[np.uint8]]:
    for index in pages.tolist():
        data = snapshot.stored_bytes(index, name, int(lengths[index]))
        assert data is not None  # noqa: S101  # checked by the caller
        yield data


def _moved(
    places: Places,
    index_of_row: dict[int, int],
    segment: NDArray[np.int64],
    offset: NDArray[np.int64],
    name: str,
) -> Places:
    places = places.copy()
    for place in places:
        index = index_of_row[int(place["row"])]
        if segment[index]:
            place[f"{name}_segment"] = segment[index]
            place[f"{name}_offset"] = offset[index]
    return places


def _lengths(snapshot: Snapshot, kind: VectorKind) -> NDArray[np.int64]:
    """Number of bytes of each page."""
    settings = snapshot.manifest.settings
    if kind == "dense":
        size = 0 if settings.dense is None else dense_stride(settings.dense.dimension)
        return np.full(len(snapshot), size, np.int64)
    if settings.tokens is None:
        return np.zeros(len(snapshot), np.int64)
    vectors, dimension = settings.compression.vectors, settings.tokens.dimension
    found = [
        token_length(tokens, dimension=dimension, vectors=vectors)
        for tokens in snapshot.places["tokens"].tolist()
    ]
    return np.array(found, np.int64)


def _has_missing_bytes(
    snapshot: Snapshot, pages: NDArray[np.intp], name: str, lengths: NDArray[np.int64]
) -> bool:
    """Whether a file is too short for its pages; such a file is left as it is."""
    return any(
        snapshot.stored_bytes(index, name, int(lengths[index])) is None for index in pages.tolist()
    )


def _remove_unowned_rows(step: Transaction, snapshot: Snapshot) -> None:
    """Delete rows of pages without a document; the removal of an altered document leaves them."""
    owned = set(snapshot.places["row"].tolist())
    for table in PAGE_TABLES:
        rows = [row for (row,) in step.connection.execute(f"SELECT row FROM {table}")]  # noqa: S608  # a constant
        unowned = [(row,) for row in rows if row not in owned]
        step.connection.executemany(f"DELETE FROM {table} WHERE row = ?", unowned)  # noqa: S608
    step.connection.execute("DELETE FROM removed")
    step.set_layout(replace(step.layout, removed_from=step.manifest.generation + 1))


def _store_words(step: Transaction, snapshot: Snapshot, counted: dict[int, WordCounts]) -> None:
    """Replace the words of pages, given by index."""
    for index, words in counted.items():
        place = snapshot.places[index]
        blob = words_blob(place["content"].tobytes(), words)
        step.connection.execute(
            "INSERT OR REPLACE INTO words VALUES (?, ?)", (int(place["row"]), blob)
        )
