"""Token vectors of a page as an index keeps them. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.index.folder.vector_bytes import token_bytes, token_matrix
from vdr_integrations.index.scoring.token_pooling import pool_visual_tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index.compression import Compression
    from vdr_integrations.types import PatchGrid

__all__ = ["as_stored", "rounded"]


def as_stored(
    vectors: NDArray[np.float32], grid: PatchGrid | None, *, compression: Compression
) -> NDArray[np.float32]:
    """What an index would give back for these vectors: pooled and rounded.

    Args:
        vectors: float32 (tokens, dimension), rows of length 1.
        grid: Which rows are visual tokens.
        compression: How the index stores vectors.

    Returns:
        float32 (tokens that are kept, dimension).
    """
    pooled = pool_visual_tokens(vectors, grid, factor=compression.token_pooling)
    return rounded(pooled, compression=compression)


def rounded(pooled: NDArray[np.float32], *, compression: Compression) -> NDArray[np.float32]:
    """What an index would give back for pooled vectors: rounded to its number format.

    Args:
        pooled: float32 (tokens, dimension).
        compression: How the index stores vectors.

    Returns:
        float32 (tokens, dimension).
    """
    kept = token_bytes(pooled, vectors=compression.vectors)
    tokens, dimension = pooled.shape
    return token_matrix(kept, tokens=tokens, dimension=dimension, vectors=compression.vectors)
