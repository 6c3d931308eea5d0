"""Exact cosines of stored dense vectors: one matrix product over mapped files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.folder.troubles import altered
from vdr_integrations.index.folder.vector_bytes import dense_stride
from vdr_integrations.index.folder.vector_places import word_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.index.folder.snapshot import Snapshot

__all__ = ["DenseScores", "stored_dense"]

_FEW = 0.25
"""If fewer pages than this share of a file are scored, their vectors are copied together first."""
_CHECKED_AT_ONCE = 4096


class DenseScores:
    """Scores pages, and remembers which bytes this process has checked already.

    Files grow at their ends and change nowhere else, so correct bytes are not checked again for
    every search.
    """

    def __init__(self) -> None:
        """Nothing is checked yet."""
        self._index_id = ""
        self._checked: dict[int, int] = {}
        self._wrong: set[tuple[int, int]] = set()

    def scores(
        self, snapshot: Snapshot, query: NDArray[np.float32], pages: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Cosines of a query with pages.

        Args:
            snapshot: The state of the index.
            query: float32 (dimension,) of length 1.
            pages: Pages to score, as indices of the snapshot.

        Raises:
            IndexFormatError: The vectors of a page are not what was written.
        """
        self._check(snapshot, pages, len(query))
        stride = dense_stride(len(query))
        scores = np.empty(len(pages), np.float32)
        segments = snapshot.places["dense_segment"][pages]
        offsets = snapshot.places["dense_offset"][pages]
        for number in np.unique(segments).tolist():
            mine = segments == number
            matrix = _rows(snapshot.segments[number], stride)[:, : len(query)]
            rows = offsets[mine] // stride
            if len(rows) < _FEW * len(matrix):
                scores[mine] = matrix[rows] @ query
            else:
                scores[mine] = (matrix @ query)[rows]
        return np.clip(scores, -1.0, 1.0)

    def _check(self, snapshot: Snapshot, pages: NDArray[np.intp], dimension: int) -> None:
        if snapshot.manifest.index_id != self._index_id:
            self._checked, self._wrong = {}, set()
            self._index_id = snapshot.manifest.index_id
        places, stride = snapshot.places, dense_stride(dimension)
        for number, data in snapshot.segments.items():
            start = self._checked.get(number, 0)
            if start >= len(data):
                continue
            fresh = np.flatnonzero(
                (places["dense_segment"] == number)
                & (places["dense_offset"] >= start)
                & (places["dense_offset"] + stride <= len(data))
            )
            for begin in range(0, len(fresh), _CHECKED_AT_ONCE):
                block = fresh[begin : begin + _CHECKED_AT_ONCE]
                words = _rows(data, stride).view("<u8")[places["dense_offset"][block] // stride]
                wrong = words.sum(axis=1, dtype=np.uint64) != places["dense_sum"][block]
                self._wrong |= {
                    (number, int(offset)) for offset in places["dense_offset"][block[wrong]]
                }
            self._checked[number] = len(data)
        ends = {number: len(data) for number, data in snapshot.segments.items()}
        if self._wrong or any(
            ends.get(one.number, 0) < one.used_bytes for one in snapshot.manifest.layout.segments
        ):
            for index in pages.tolist():
                place = places[index]
                number, offset = int(place["dense_segment"]), int(place["dense_offset"])
                if (number, offset) in self._wrong or offset + stride > ends.get(number, 0):
                    raise altered(
                        snapshot.folder, snapshot.where(index), "its dense vector was altered"
                    )


def stored_dense(snapshot: Snapshot, index: int, *, dimension: int) -> NDArray[np.float32]:
    """The dense vector of a page: float32 (dimension,).

    Raises:
        IndexFormatError: The vector is not what was written.
    """
    data = snapshot.stored_bytes(index, "dense", dense_stride(dimension))
    if data is None or word_sum(data) != int(snapshot.places["dense_sum"][index]):
        raise altered(snapshot.folder, snapshot.where(index), "its dense vector was altered")
    return np.array(data[: 4 * dimension].view("<f4"))


def _rows(data: NDArray[np.uint8], stride: int) -> NDArray[np.float32]:
    count = len(data) // stride
    return data[: count * stride].view("<f4").reshape(count, stride // 4)
