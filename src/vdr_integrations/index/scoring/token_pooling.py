"""Reduce the token vectors of a page. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.types import PatchGrid

__all__ = ["pool_visual_tokens", "ward_clusters"]


def pool_visual_tokens(
    page: NDArray[np.float32], grid: PatchGrid | None, *, factor: int
) -> NDArray[np.float32]:
    """Merge every ``factor`` visual tokens of a page into one, the most similar ones first.

    Args:
        page: float32 (tokens, dimension), L2-normalised.
        grid: Where the visual tokens are; None treats all tokens as visual. Other tokens are kept.
        factor: Number of tokens that become one; 1 returns the page unchanged.

    Returns:
        float32 (fewer tokens, dimension), L2-normalised: the tokens before the grid, the clusters
        in the order of their first token, and the tokens after the grid.
    """
    if factor == 1:
        return page
    span = slice(0, len(page)) if grid is None else grid.span
    visual = page[span]
    clusters = ward_clusters(visual, count=max(1, len(visual) // factor))
    sums = np.zeros((clusters.max() + 1, page.shape[1]), np.float32)
    np.add.at(sums, clusters, visual)
    return np.concatenate([page[: span.start], _normalised(sums), page[span.stop :]])


def ward_clusters(vectors: NDArray[np.float32], *, count: int) -> NDArray[np.intp]:
    """Ward's hierarchical clustering, cut at ``count`` clusters.

    This is the nearest-neighbour chain algorithm. It finds the merges of the greedy algorithm in
    quadratic time, in another order, and sorts them afterwards; Ward's distances allow that.

    Args:
        vectors: float32 (n, dimension).
        count: Number of clusters, 1 to n.

    Returns:
        The cluster of each vector, (n,), numbered from 0 in the order of first appearance.
    """
    merges = sorted(_chain(vectors), key=lambda merge: merge[0])[: len(vectors) - count]
    parent = np.arange(len(vectors))
    for _, first, second in merges:
        parent[_root(parent, second)] = _root(parent, first)
    roots = np.array([_root(parent, row) for row in range(len(vectors))])
    _, first_seen, cluster = np.unique(roots, return_index=True, return_inverse=True)
    order = np.empty(len(first_seen), np.intp)
    order[np.argsort(first_seen)] = np.arange(len(first_seen))
    return order[cluster]


def _chain(vectors: NDArray[np.float32]) -> list[tuple[float, int, int]]:
    """All merges as (distance, a member of one cluster, a member of the other)."""
    distances = _squared_distances(vectors)
    sizes = np.ones(len(vectors))
    merges: list[tuple[float, int, int]] = []
    chain: list[int] = []
    while len(merges) < len(vectors) - 1:
        if not chain:
            chain.append(int(np.flatnonzero(sizes)[0]))
        last = chain[-1]
        nearest = int(distances[last].argmin())
        # A tie with the previous vector ends the chain; otherwise the chain would go in circles.
        if len(chain) > 1 and distances[last, chain[-2]] <= distances[last, nearest]:
            nearest = chain[-2]
            del chain[-2:]
            merges.append((float(distances[last, nearest]), nearest, last))
            _merge(distances, sizes, kept=nearest, gone=last)
        else:
            chain.append(nearest)
    return merges


def _merge(
    distances: NDArray[np.float64], sizes: NDArray[np.float64], *, kept: int, gone: int
) -> None:
    """The update of Lance and Williams for Ward's criterion, in place."""
    total = sizes[kept] + sizes[gone] + sizes
    with np.errstate(invalid="ignore"):
        merged = (
            (sizes[kept] + sizes) * distances[kept]
            + (sizes[gone] + sizes) * distances[gone]
            - sizes * distances[kept, gone]
        ) / total
    sizes[kept] += sizes[gone]
    sizes[gone] = 0
    merged[sizes == 0] = np.inf
    merged[kept] = np.inf
    distances[kept] = distances[:, kept] = merged
    distances[gone] = distances[:, gone] = np.inf


def _squared_distances(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    squares = (wide**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares[None] - 2 * wide @ wide.T, 0)
    np.fill_diagonal(distances, np.inf)
    return distances


def _root(parent: NDArray[np.intp], row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = int(parent[row])
    return row


def _normalised(sums: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    # Vectors that cancel each other have no direction; any unit vector can stand for them.
    flat = lengths[:, 0] < np.finfo(np.float32).tiny ** 0.5
    sums[flat] = np.eye(1, sums.shape[1], dtype=np.float32)
    lengths[flat] = 1
    return (sums / lengths).astype(np.float32)
