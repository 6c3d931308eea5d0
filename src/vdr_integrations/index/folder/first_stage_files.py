"""The first stage on disk: a codebook, and for each centroid a list of the pages that have it.

All of it is derived from the vectors and can be made again. Every search compares exactly each page
that is not in a list (because it was added before the codebook, or its list was altered). So
nothing here decides what is found or stored, only how fast a search is.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Self

import numpy as np

from vdr_integrations.index.folder.disk import map_file
from vdr_integrations.index.folder.vector_bytes import filled
from vdr_integrations.index.folder.vector_places import strong_digest
from vdr_integrations.index.scoring.codebook_bytes import codebook_of_bytes
from vdr_integrations.index.scoring.first_stage import PostingLists, query_terms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vdr_integrations.index.folder.manifest_row import Layout, ListFile
    from vdr_integrations.index.folder.snapshot import Snapshot
    from vdr_integrations.index.scoring.first_stage import Codebook

__all__ = [
    "FirstStage",
    "Lists",
    "codes_blob",
    "codes_of_blob",
    "kept_codes",
    "list_bytes",
    "read_codebook",
    "read_lists",
    "tail_lists",
]

_HEADER = 4
"""Number of int64 values: size, centroids, postings, bytes per page number."""
_DIGEST_BYTES = 16
_SHA256_BYTES = 32


class Lists:
    """The lists of pages of a range of rows.

    Attributes:
        first_row: Row of the page that has number 0 in the lists.
        postings: The lists.
        listed: Which pages are in the lists, bool (size,).
    """

    def __init__(self, first_row: int, postings: PostingLists, listed: NDArray[np.bool_]) -> None:
        """Store the arguments."""
        self.first_row = first_row
        self.postings = postings
        self.listed = listed

    @classmethod
    def of(
        cls,
        codes: dict[int, NDArray[np.uint16]],
        *,
        first_row: int,
        end_row: int,
        centroids: int,
    ) -> Self:
        """The lists of some pages.

        Args:
            codes: Centroids of the pages, by row.
            first_row: First row of the range.
            end_row: First row behind the range.
            centroids: Number of centroids of the codebook.
        """
        numbers = [row - first_row for row in sorted(codes)]
        size = end_row - first_row
        listed = np.zeros(size, np.bool_)
        listed[numbers] = True
        found = [codes[row] for row in sorted(codes)]
        postings = PostingLists.of(numbers, found, size=size, centroids=centroids)
        return cls(first_row, postings, listed)

    @property
    def end_row(self) -> int:
        """First row behind the range."""
        return self.first_row + self.postings.size


class FirstStage:
    """Selects candidates. It keeps what it read from files, and checks each file once."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._codebook: tuple[str, Codebook | None] = ("", None)
        self._files: dict[str, Lists | None] = {}
        self._tail: tuple[Snapshot, Lists] | None = None

    def looks(
        self, snapshot: Snapshot, query: NDArray[np.float32], pages: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.intp]]:
        """Scores of pages in the first stage.

        Args:
            snapshot: The state of the index.
            query: float32 (query tokens, dimension).
            pages: Pages to score, as indices of the snapshot.

        Returns:
            The pages that are in a list; their scores, float32; and the pages that are not in one.
        """
        codebook = self._current_codebook(snapshot)
        if codebook is None:
            return pages[:0], np.empty(0, np.float32), pages
        terms = query_terms(query, codebook)
        scores = np.zeros(len(snapshot), np.float32)
        listed = np.zeros(len(snapshot), np.bool_)
        rows = snapshot.rows
        for lists in self._lists(snapshot, len(codebook.centroids)):
            first, last = np.searchsorted(rows, [lists.first_row, lists.end_row]).tolist()
            numbers = rows[first:last] - lists.first_row
            scores[first:last] = lists.postings.scores(terms)[numbers]
            listed[first:last] = lists.listed[numbers]
        is_listed = listed[pages]
        known = pages[is_listed]
        return known, scores[known], pages[~is_listed]

    def _current_codebook(self, snapshot: Snapshot) -> Codebook | None:
        name = snapshot.manifest.layout.codebook
        if not name:
            return None
        known = self._codebook
        if known[0] != name:
            known = (name, read_codebook(snapshot.folder, snapshot.manifest.layout))
            self._codebook = known
        return known[1]

    def _lists(self, snapshot: Snapshot, centroids: int) -> list[Lists]:
        layout = snapshot.manifest.layout
        kept = self._files
        files = {
            file.name: kept[file.name] if file.name in kept else read_lists(snapshot.folder, file)
            for file in layout.lists
        }
        self._files = files
        tail = self._tail
        if tail is None or tail[0] is not snapshot:
            tail = (snapshot, tail_lists(snapshot, centroids))
            self._tail = tail
        return [lists for lists in (*files.values(), tail[1]) if lists is not None]


def tail_lists(snapshot: Snapshot, centroids: int) -> Lists:
    """The lists of the pages behind the last list file, made from their codes."""
    layout = snapshot.manifest.layout
    rows = snapshot.rows
    start = layout.lists[-1].end_row if layout.lists else 0
    alive = rows[np.searchsorted(rows, start) :].tolist()
    codes = kept_codes(snapshot.codes, alive)
    first = min(codes, default=start)
    end = max(codes, default=first - 1) + 1
    return Lists.of(codes, first_row=first, end_row=end, centroids=centroids)


def kept_codes(kept: dict[int, bytes], rows: Sequence[int]) -> dict[int, NDArray[np.uint16]]:
    """Centroids by row, for those of these pages whose codes are stored and intact."""
    found = {row: codes_of_blob(row, kept.get(row)) for row in rows}
    return {row: codes for row, codes in found.items() if codes is not None}


def codes_blob(row: int, codes: NDArray[np.uint16]) -> bytes:
    """The bytes that the database stores of a page's centroids."""
    data = codes.astype("<u2").tobytes()
    return strong_digest(row.to_bytes(8, "little"), data) + data


def codes_of_blob(row: int, blob: object) -> NDArray[np.uint16] | None:
    """The centroids of stored bytes; None if they are not what was written."""
    if not isinstance(blob, bytes):
        return None
    digest, data = blob[:_DIGEST_BYTES], blob[_DIGEST_BYTES:]
    if strong_digest(row.to_bytes(8, "little"), data) != digest:
        return None
    return np.frombuffer(data, "<u2")


def read_codebook(folder: Path, layout: Layout) -> Codebook | None:
    """The codebook; None if it is not what was written."""
    try:
        data = (folder / layout.codebook).read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data).hexdigest() != layout.codebook_digest:
        return None
    return codebook_of_bytes(data)


def list_bytes(lists: Lists) -> bytes:
    """The bytes of a list file; the last 32 are the SHA-256 of the others."""
    postings = lists.postings
    header = np.array(
        [postings.size, len(postings.starts) - 1, len(postings.pages), postings.pages.itemsize],
        "<i8",
    )
    listed = np.packbits(lists.listed).tobytes()
    parts = [
        header.tobytes(),
        lists.first_row.to_bytes(8, "little"),
        postings.starts.astype("<i8").tobytes(),
        listed + bytes(filled(len(listed)) - len(listed)),
        postings.pages.tobytes(),
    ]
    data = b"".join(parts)
    return data + hashlib.sha256(data).digest()


def read_lists(folder: Path, file: ListFile) -> Lists | None:
    """The lists of a mapped file; None if they are not what was written."""
    try:
        length = (folder / file.name).stat().st_size
        data = map_file(folder, file.name, used_bytes=length)
    except OSError:
        return None
    if len(data) < 8 * _HEADER + _SHA256_BYTES:
        return None
    size, centroids, count, width = data[: 8 * _HEADER].view("<i8").tolist()
    sizes = [8 * _HEADER, 8, 8 * (centroids + 1), filled(-(-size // 8)), count * width]
    if min(sizes) < 0 or sum(sizes) + _SHA256_BYTES != len(data):
        return None
    if hashlib.sha256(data[:-_SHA256_BYTES].data).digest() != data[-_SHA256_BYTES:].tobytes():
        return None
    parts = np.split(data[:-_SHA256_BYTES], np.cumsum(sizes)[:-1])
    _, first, starts, listed, pages = parts
    if int(first.view("<i8")[0]) != file.first_row or size != file.end_row - file.first_row:
        return None
    kind = "<u2" if width == 2 else "<u4"
    postings = PostingLists(size, starts.view("<i8"), pages.view(kind))
    return Lists(file.first_row, postings, np.unpackbits(listed, count=size).astype(np.bool_))
