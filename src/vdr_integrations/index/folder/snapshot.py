"""One committed state of an index, as a process holds it for searches.

The places of all pages are in memory (128 bytes per page), vectors are mapped. From one generation
to the next, only new data is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.folder.database import reading
from vdr_integrations.index.folder.disk import map_file
from vdr_integrations.index.folder.manifest_row import ManifestRow
from vdr_integrations.index.folder.troubles import altered, damaged
from vdr_integrations.index.folder.vector_places import (
    PLACE,
    STATE_BYTES,
    Places,
    document_digest,
    document_name,
    state_sum,
)
from vdr_integrations.types.computed_once import computed_once

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import TypeAlias

    from numpy.typing import NDArray

    Begin: TypeAlias = Callable[[], AbstractContextManager[sqlite3.Connection]]

__all__ = ["KnownDocument", "Snapshot", "load_snapshot"]

_TRIES = 5


@dataclass(frozen=True, slots=True, eq=False)
class KnownDocument:
    """A document of a snapshot.

    Attributes:
        id: Number of the document; each change of the document gives it a new one.
        source: Name of the document.
        record: Stored JSON of the document.
        digest: Digest in the database.
        places: Places of its pages; empty for an altered document.
        is_altered: Whether its row is not what was written.
        is_name_sure: Whether at least its name is what was written.
    """

    id: int
    source: str
    record: str
    digest: bytes
    places: Places
    is_altered: bool = False
    is_name_sure: bool = True


class Snapshot:
    """A committed state.

    Attributes:
        folder: The folder of the index.
        manifest: The manifest row of this state.
        documents: Documents by id.
        segments: Mapped bytes of the files of vectors, by number of the file.
        codes: Stored codes of pages behind the last list file, by row.
        places: Places of all pages, sorted by row.
        document_ids: Id of the document of each page, int64 (pages,).
    """

    def __init__(
        self,
        folder: Path,
        manifest: ManifestRow,
        documents: dict[int, KnownDocument],
        segments: dict[int, NDArray[np.uint8]],
        codes: dict[int, bytes],
        *,
        before: Snapshot | None = None,
    ) -> None:
        """See :func:`load_snapshot`."""
        self.folder = folder
        self.manifest = manifest
        self.documents = documents
        self.segments = segments
        self.codes = codes
        kept = np.empty(0, PLACE)
        ids = np.empty(0, np.int64)
        fresh = list(documents.values())
        if before is not None:
            # Copy the unchanged places as one array; a hundred thousand small arrays take long.
            stays = np.isin(before.document_ids, np.fromiter(documents, np.int64, len(documents)))
            kept, ids = before.places[stays], before.document_ids[stays]
            fresh = [one for number, one in documents.items() if number not in before.documents]
        counts = [len(one.places) for one in fresh]
        places = np.concatenate([kept, *(one.places for one in fresh)])
        ids = np.concatenate(
            [ids, np.repeat(np.array([one.id for one in fresh], np.int64), counts)]
        )
        rows = places["row"]
        if (rows[1:] < rows[:-1]).any():
            order = np.argsort(rows, kind="stable")
            places, ids = places[order], ids[order]
        self.places: Places = places
        self.document_ids: NDArray[np.int64] = ids

    @computed_once
    def rows(self) -> NDArray[np.int64]:
        """The row of each page, ascending: int64 (pages,)."""
        return np.ascontiguousarray(self.places["row"])

    @computed_once
    def sources(self) -> dict[str, int]:
        """Ids of documents by source."""
        return {document.source: number for number, document in self.documents.items()}

    @computed_once
    def by_id(self) -> dict[bytes, int]:
        """Indices of pages by the bytes of their ids."""
        ids = self.places["page_id"].tobytes()
        return {ids[16 * index : 16 * index + 16]: index for index in range(len(self))}

    @computed_once
    def altered(self) -> list[KnownDocument]:
        """Documents whose row is not what was written."""
        return [document for document in self.documents.values() if document.is_altered]

    def __len__(self) -> int:
        """Number of pages."""
        return len(self.places)

    def source_of(self, index: int) -> str:
        """The name of a page's document."""
        return self.documents[int(self.document_ids[index])].source

    def where(self, index: int) -> str:
        """The name of a page in messages."""
        return f"{self.source_of(index)} page {self.places['page_number'][index]}"

    def stored_bytes(self, index: int, kind: str, length: int) -> NDArray[np.uint8] | None:
        """The bytes of a page's ``"token"`` or ``"dense"`` vectors; None if some are missing."""
        place = self.places[index]
        offset = int(place[f"{kind}_offset"])
        found = self.segments.get(int(place[f"{kind}_segment"]))
        if found is None or offset < 0 or offset + length > len(found):
            return None
        return found[offset : offset + length]

    def refuse_altered(self, sources: set[str] | None) -> None:
        """Refuse to go on if one of these documents was altered, or may have been.

        Args:
            sources: Names of the documents that matter; None for all.

        Raises:
            IndexFormatError: One was altered; the message names the first.
        """
        for document in self.altered:
            is_meant = sources is None or (
                document.source in sources
                if document.is_name_sure
                else any(source not in self.sources for source in sources)
            )
            if is_meant:
                raise altered(self.folder, document.source, "its record was altered")


def load_snapshot(
    folder: Path, before: Snapshot | None = None, *, begin: Begin | None = None
) -> Snapshot:
    """Read the state that is committed now.

    Args:
        folder: The folder of the index.
        before: An older state; it is returned if it is still the newest.
        begin: Begins a transaction that reads; None opens the database for each.

    Raises:
        IndexNotFoundError: There is no index.
        IndexFormatError: The files of the index contradict each other.
        IndexStoreError: The file system refuses.
    """
    begin = (lambda: reading(folder)) if begin is None else begin
    for tries_left in reversed(range(_TRIES)):
        with begin() as connection:
            manifest = ManifestRow.read(connection, folder)
            known = before
            if known is not None and known.manifest.index_id != manifest.index_id:
                known = None
            if known is not None and known.manifest.generation == manifest.generation:
                return known
            documents = _documents(connection, manifest, known)
            if documents is None:
                known = None
                documents = _documents(connection, manifest, None)
            if documents is None:
                raise damaged(
                    folder, "documents are missing from its database, or removed ones came back"
                )
            codes = _codes(connection, manifest, known)
        try:
            segments = _segments(folder, manifest, known)
        except FileNotFoundError as error:
            # A writer that freed space has deleted files meanwhile, or they are lost.
            with begin() as connection:
                newest = ManifestRow.read(connection, folder)
            if tries_left and newest.columns() != manifest.columns():
                continue
            raise damaged(folder, f"its file {error.filename} is gone") from error
        return Snapshot(folder, manifest, documents, segments, codes, before=known)
    raise damaged(folder, "its files change faster than they can be opened")


def _documents(
    connection: sqlite3.Connection, manifest: ManifestRow, known: Snapshot | None
) -> dict[int, KnownDocument] | None:
    """All documents; None if they are not the documents that the manifest counts."""
    documents: dict[int, KnownDocument] = {}
    newest = 0
    if known is not None:
        if known.manifest.generation < manifest.layout.removed_from:
            return None
        gone = {
            number
            for (number,) in connection.execute(
                "SELECT document_id FROM removed WHERE generation > ?", (known.manifest.generation,)
            )
        }
        newest = max(known.documents, default=0)
        documents = {
            number: document for number, document in known.documents.items() if number not in gone
        }
    for row in connection.execute(
        "SELECT id, source, record, places, digest FROM documents WHERE id > ? ORDER BY id",
        (newest,),
    ):
        documents[row[0]] = _document(*row)
    total = state_sum(bytes(STATE_BYTES), added=[one.digest for one in documents.values()])
    is_complete = len(documents) == manifest.documents
    # If a digest itself was altered, the sum is wrong, but the document is marked as altered.
    is_right = total == manifest.state or any(one.is_altered for one in documents.values())
    return documents if is_complete and is_right else None


def _document(
    number: int, source: object, record: object, places: object, digest: object
) -> KnownDocument:
    if (
        isinstance(source, str)
        and isinstance(record, str)
        and isinstance(places, bytes)
        and isinstance(digest, bytes)
        and document_digest(number, source, record, places) == digest
    ):
        return KnownDocument(number, source, record, digest, np.frombuffer(places, PLACE))
    kept = digest if isinstance(digest, bytes) else b""
    name, is_sure = document_name(number, source, digest)
    return KnownDocument(
        number, name, "", kept, np.empty(0, PLACE), is_altered=True, is_name_sure=is_sure
    )


def _codes(
    connection: sqlite3.Connection, manifest: ManifestRow, known: Snapshot | None
) -> dict[int, bytes]:
    """Stored codes of the pages behind the last list file."""
    layout = manifest.layout
    if not layout.codebook:
        return {}
    start = layout.lists[-1].end_row if layout.lists else 0
    codes: dict[int, bytes] = {}
    if known is not None and known.manifest.layout.codebook == layout.codebook:
        codes = {row: found for row, found in known.codes.items() if row >= start}
        start = max([start, *(row + 1 for row in codes)])
    codes.update(connection.execute("SELECT row, codes FROM codes WHERE row >= ?", (start,)))
    return codes


def _segments(
    folder: Path, manifest: ManifestRow, known: Snapshot | None
) -> dict[int, NDArray[np.uint8]]:
    found: dict[int, NDArray[np.uint8]] = {}
    for segment in manifest.layout.segments:
        mapped = None if known is None else known.segments.get(segment.number)
        if mapped is None or len(mapped) < segment.used_bytes:
            mapped = map_file(folder, segment.name, used_bytes=segment.used_bytes)
        found[segment.number] = mapped
    return found
