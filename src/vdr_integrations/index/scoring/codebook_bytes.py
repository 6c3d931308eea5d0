"""Convert a codebook to the bytes that a folder or a server stores, and back. Pure.

The bytes: three int64 (number of cells, number of centroids, dimension), the starts of the cells as
int64, the cells as float16, and the centroids as float16.
"""

from __future__ import annotations

import numpy as np

from vdr_integrations.index.scoring.first_stage import Codebook

__all__ = ["codebook_bytes", "codebook_of_bytes"]

_HEADER = 3
"""Number of int64 values: cells, centroids, dimension."""


def codebook_bytes(codebook: Codebook) -> bytes:
    """The bytes of a codebook."""
    header = np.array([len(codebook.cells), *codebook.centroids.shape], "<i8")
    return b"".join(
        [
            header.tobytes(),
            codebook.starts.astype("<i8").tobytes(),
            codebook.cells.astype("<f2").tobytes(),
            codebook.centroids.astype("<f2").tobytes(),
        ]
    )


def codebook_of_bytes(data: bytes) -> Codebook:
    """The codebook of these bytes; the caller has checked their digest."""
    cells, centroids, dimension = np.frombuffer(data, "<i8", _HEADER).tolist()
    place = 8 * _HEADER
    starts = np.frombuffer(data, "<i8", cells + 1, place)
    place += 8 * (cells + 1)
    first = np.frombuffer(data, "<f2", cells * dimension, place)
    place += 2 * cells * dimension
    second = np.frombuffer(data, "<f2", centroids * dimension, place)
    return Codebook(
        first.reshape(cells, dimension).astype(np.float32),
        second.reshape(centroids, dimension).astype(np.float32),
        starts,
    )
