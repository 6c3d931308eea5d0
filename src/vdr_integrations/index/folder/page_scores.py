"""Exact MaxSim of stored pages, computed from mapped bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.folder.troubles import altered
from vdr_integrations.index.folder.vector_bytes import (
    token_length,
    token_matrix,
    token_rows,
    token_scales,
)
from vdr_integrations.index.folder.vector_places import word_sum
from vdr_integrations.index.scoring.page_scorer import best_sum, score_pages

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.index.compression import VectorFormat
    from vdr_integrations.index.folder.snapshot import Snapshot
    from vdr_integrations.index.scoring.page_scorer import PageScorer

__all__ = ["page_scores", "stored_tokens"]


def page_scores(
    snapshot: Snapshot,
    query: NDArray[np.float32],
    pages: NDArray[np.intp],
    *,
    vectors: VectorFormat,
) -> NDArray[np.float32]:
    """MaxSim of a query with pages.

    Args:
        snapshot: The state of the index.
        query: float32 (query tokens, dimension).
        pages: Pages to score, as indices of the snapshot.
        vectors: The number format of the stored vectors.

    Returns:
        float32 (pages,).

    Raises:
        IndexFormatError: The vectors of a page are not what was written.
    """
    import torch

    indices: list[int] = pages.tolist()
    tokens: list[int] = snapshot.places["tokens"][pages].tolist()
    dimension = query.shape[1]

    def score(scorer: PageScorer, position: int) -> float:
        count = tokens[position]
        length = token_length(count, dimension=dimension, vectors=vectors)
        data = _stored_bytes(snapshot, indices[position], length)
        rows = token_rows(data, tokens=count, dimension=dimension, vectors=vectors)
        products = scorer.products(rows)
        if vectors == "int8":
            scales = token_scales(data, tokens=count, dimension=dimension)
            products *= torch.from_numpy(scales.astype(np.float32))
        return best_sum(products)

    return score_pages(query, tokens, score)


def stored_tokens(snapshot: Snapshot, index: int, *, vectors: VectorFormat) -> NDArray[np.float32]:
    """The token vectors of a page as they are stored: float32 (tokens, dimension).

    Raises:
        IndexFormatError: The vectors are not what was written.
    """
    settings = snapshot.manifest.settings.tokens
    assert settings is not None  # noqa: S101  # only indexes of token vectors come here
    tokens, dimension = int(snapshot.places["tokens"][index]), settings.dimension
    length = token_length(tokens, dimension=dimension, vectors=vectors)
    data = _stored_bytes(snapshot, index, length)
    return token_matrix(data, tokens=tokens, dimension=dimension, vectors=vectors)


def _stored_bytes(snapshot: Snapshot, index: int, length: int) -> NDArray[np.uint8]:
    """The stored bytes of a page's token vectors, after a check of their sum."""
    data = snapshot.stored_bytes(index, "token", length)
    if data is None or word_sum(data) != int(snapshot.places["token_sum"][index]):
        raise altered(snapshot.folder, snapshot.where(index), "its vectors were altered")
    return data
