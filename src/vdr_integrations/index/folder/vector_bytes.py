"""Convert vectors to the bytes that files store, and back. Pure arithmetic.

The token vectors of a page are its rows of numbers, one after the other. In int8, one scale per row
follows, in float16. Everything is padded with zeros to a multiple of 8 bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.index.compression import VectorFormat

__all__ = [
    "dense_bytes",
    "dense_stride",
    "filled",
    "token_bytes",
    "token_length",
    "token_matrix",
    "token_rows",
    "token_scales",
]

_BYTES = {"float16": 2, "float32": 4, "int8": 1}
_SCALE_BYTES = 2
_INT8_MOST = 127


def token_length(tokens: int, *, dimension: int, vectors: VectorFormat) -> int:
    """Number of bytes of a page with this number of tokens."""
    scales = _SCALE_BYTES * tokens if vectors == "int8" else 0
    return filled(tokens * dimension * _BYTES[vectors] + scales)


def token_bytes(matrix: NDArray[np.float32], *, vectors: VectorFormat) -> NDArray[np.uint8]:
    """The stored bytes of a page's token vectors.

    Args:
        matrix: float32 (tokens, dimension).
        vectors: The number format in which they are stored.
    """
    made = np.zeros(token_length(len(matrix), dimension=matrix.shape[1], vectors=vectors), np.uint8)
    rows = token_rows(made, tokens=len(matrix), dimension=matrix.shape[1], vectors=vectors)
    if vectors == "int8":
        most = np.abs(matrix).max(axis=1)
        scales = token_scales(made, tokens=len(matrix), dimension=matrix.shape[1])
        scales[:] = most / _INT8_MOST
        # Divide by the scale as it is stored, so that its rounding costs no accuracy.
        wide = np.maximum(scales.astype(np.float32), np.finfo(np.float32).tiny)
        np.clip(
            np.rint(matrix / wide[:, None]), -_INT8_MOST, _INT8_MOST, out=rows, casting="unsafe"
        )
    else:
        rows[:] = matrix
    return made


def token_matrix(
    data: NDArray[np.uint8], *, tokens: int, dimension: int, vectors: VectorFormat
) -> NDArray[np.float32]:
    """The token vectors of stored bytes: float32 (tokens, dimension)."""
    rows = token_rows(data, tokens=tokens, dimension=dimension, vectors=vectors).astype(np.float32)
    if vectors == "int8":
        scales = token_scales(data, tokens=tokens, dimension=dimension)
        rows *= scales[:, None].astype(np.float32)
    return rows


def token_rows(
    data: NDArray[np.uint8], *, tokens: int, dimension: int, vectors: VectorFormat
) -> NDArray[np.float32] | NDArray[np.float16] | NDArray[np.int8]:
    """A view of the stored numbers: (tokens, dimension)."""
    size = tokens * dimension * _BYTES[vectors]
    kind = {"float16": "<f2", "float32": "<f4", "int8": "i1"}[vectors]
    return data[:size].view(kind).reshape(tokens, dimension)


def token_scales(data: NDArray[np.uint8], *, tokens: int, dimension: int) -> NDArray[np.float16]:
    """A view of the scales, by which rows of int8 are multiplied: float16 (tokens,)."""
    start = tokens * dimension
    return data[start : start + _SCALE_BYTES * tokens].view("<f2")


def dense_stride(dimension: int) -> int:
    """Bytes from one dense vector to the next."""
    return filled(4 * dimension)


def dense_bytes(vector: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The stored bytes of a dense vector."""
    made = np.zeros(dense_stride(len(vector)), np.uint8)
    made[: 4 * len(vector)].view("<f4")[:] = vector
    return made


def filled(size: int) -> int:
    """``size`` rounded up to a multiple of 8."""
    return -(-size // 8) * 8
