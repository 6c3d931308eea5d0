"""The first stage of a search: pages as sets of centroids, questions as weights on them. Pure.

A codebook of centroids is made from the token vectors of some pages. Each token of a page is
assigned to its nearest centroid. Each token of a question gives a weight to its 64 nearest
centroids: their similarity minus the similarity of the last of them. A page gets, for each token of
the question, the largest weight among its own centroids. The sum over the tokens is a rough
approximation of MaxSim.

A server instead adds up the weights of fewer centroids with idf, because its sparse vectors can do
that; it finds as much. 32,768 centroids find more than 8,192.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from vdr_integrations.encoders.runtime.torch_threads import call_on_one_core, on_cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Codebook", "PostingLists", "QueryTerms", "query_terms"]

MOST_CENTROIDS = 32_768
"""Numbers of centroids are stored in 16 bits."""
_TOKENS_OF_CENTROID = 6
_CELLS = 256
_PROBED_CELLS = 2
_ROUNDS = 3
_NEAREST = 64
"""For each token of a question, 64 centroids count, by how much nearer they are than the last of
them, so that weights go down to zero at the end. When the similarity of the 256th centroid was
subtracted instead, pages of 56 tokens were found half as often, and pages of 740 tokens equally
often."""
_STEP = 8
"""One centroid out of this many is enough to estimate how near the nearest ones are."""
_WIDE_SHARE = 0.2
_WIDE_PAGES = 256
"""Lists with more pages than both limits are not read. On 100,000 and 10,000 synthetic pages and on
1,788 real ones, the best pages kept their places, in half of the time. With a share of .1, 100
candidates held 75 % of the real best pages instead of 83 %."""
_ROWS_AT_ONCE = 1024
_PAGES_AT_ONCE = 8
_TOKENS_OF_CELLS = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Codebook:
    """Centroids, sorted into cells so that a token is compared with only some of them.

    Attributes:
        cells: float32 (cells, dimension), of length 1.
        centroids: float32 (centroids, dimension), of length 1, cell by cell.
        starts: int64 (cells + 1,): index of the first centroid of each cell.
    """

    cells: NDArray[np.float32]
    centroids: NDArray[np.float32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, tokens: NDArray[np.float32], *, seed: int = 0) -> Self:
        """Centroids of token vectors: spherical k-means in two levels.

        Args:
            tokens: float32 (tokens, dimension), rows of length 1; a sample of the tokens to come.
            seed: Seed of the random choice of first centroids.
        """
        given = np.ascontiguousarray(tokens)
        count = max(1, min(MOST_CENTROIDS, len(given) // _TOKENS_OF_CENTROID))
        # Cells are rough, so a part of the tokens is enough for them.
        rough = given[:: max(1, len(given) // _TOKENS_OF_CELLS)]
        cells = call_on_one_core(lambda: _k_means(rough, min(_CELLS, count), seed))
        cell_of = np.concatenate(
            on_cores(lambda rows: _nearest(rows, cells), _slices(given, _ROWS_AT_ONCE))
        )
        order = np.argsort(cell_of, kind="stable")
        bounds = np.cumsum(np.bincount(cell_of, minlength=len(cells)))[:-1]
        members = np.split(given[order], bounds)

        def centroids(cell: int) -> NDArray[np.float32]:
            share = max(1, count * len(members[cell]) // len(given))
            return _k_means(members[cell], share, seed) if len(members[cell]) else cells[cell, None]

        found = on_cores(centroids, range(len(cells)))
        starts = np.cumsum([0, *(len(one) for one in found)])
        # Cells without a full share have one centroid each; the total may be a few too many.
        return cls(
            cells,
            np.concatenate(found)[:MOST_CENTROIDS],
            np.minimum(starts, MOST_CENTROIDS),
        )

    def assign(self, pages: Sequence[NDArray[np.float32]]) -> list[NDArray[np.uint16]]:
        """The centroids to which the tokens of each page are assigned: sorted, without duplicates.

        Args:
            pages: float32 (tokens, dimension) each, rows of length 1.
        """
        parts = [
            pages[start : start + _PAGES_AT_ONCE] for start in range(0, len(pages), _PAGES_AT_ONCE)
        ]
        return [codes for part in on_cores(self._assign, parts) for codes in part]

    def _assign(self, pages: Sequence[NDArray[np.float32]]) -> list[NDArray[np.uint16]]:
        tokens = np.concatenate(pages)
        best = np.full(len(tokens), -np.inf, np.float32)
        codes = np.zeros(len(tokens), np.uint16)
        probed = min(_PROBED_CELLS, len(self.cells))
        rough = np.concatenate(
            [_products(part, self.cells) for part in _slices(tokens, _ROWS_AT_ONCE)]
        )
        for _ in range(probed):
            cells = rough.argmax(axis=1)
            rough[np.arange(len(tokens)), cells] = -np.inf
            order = np.argsort(cells, kind="stable")
            ends = np.cumsum(np.bincount(cells, minlength=len(self.cells)))
            begin = 0
            for cell, end in enumerate(ends.tolist()):
                rows, begin = order[begin:end], end
                first, last = int(self.starts[cell]), int(self.starts[cell + 1])
                if not len(rows) or first == last:
                    continue
                similarity = _products(tokens[rows], self.centroids[first:last])
                nearest = similarity.argmax(axis=1)
                values = similarity[np.arange(len(rows)), nearest]
                better = values > best[rows]
                best[rows[better]] = values[better]
                codes[rows[better]] = (nearest[better] + first).astype(np.uint16)
        bounds = np.cumsum([len(page) for page in pages])[:-1]
        return [np.unique(part) for part in np.split(codes, bounds)]


@dataclass(frozen=True, slots=True, eq=False)
class QueryTerms:
    """The centroids that count for a question, and their weights.

    Attributes:
        centroids: int64 (query tokens, n), the nearest ones last.
        weights: float32 of the same shape, ascending along each row.
    """

    centroids: NDArray[np.int64]
    weights: NDArray[np.float32]


def query_terms(query: NDArray[np.float32], codebook: Codebook) -> QueryTerms:
    """The weights that a question gives to centroids.

    Args:
        query: float32 (query tokens, dimension), rows of length 1.
        codebook: Codebook of the index.
    """
    similarity = call_on_one_core(lambda: _products(query, codebook.centroids))
    count = similarity.shape[1]
    nearest = min(_NEAREST, count)
    # About the similarity of the centroid at twice that rank, estimated from a part of the
    # centroids, because sorting all of them takes long.
    step = max(1, min(_STEP, count // (2 * nearest)))
    part = similarity[:, ::step]
    rank = max(0, part.shape[1] - 2 * nearest // step)
    about = np.partition(part, rank, axis=1)[:, rank]
    centroids = np.empty((len(query), nearest), np.int64)
    weights = np.empty((len(query), nearest), np.float32)
    for row, values in enumerate(similarity):
        near = np.flatnonzero(values >= about[row])
        if len(near) < nearest:
            near = np.arange(count)
        near = near[np.argsort(values[near], kind="stable")][-nearest:]
        centroids[row], weights[row] = near, values[near] - values[near[0]]
    # Never zero, so that an index with few centroids is ranked too.
    return QueryTerms(centroids, np.maximum(weights, np.float32(1e-6)))


@dataclass(frozen=True, slots=True, eq=False)
class PostingLists:
    """For each centroid, the pages that have it.

    Attributes:
        size: Pages are numbered from 0 to ``size - 1``.
        starts: int64 (centroids + 1,): where the list of each centroid begins.
        pages: uint16 or wider: one list after the other, each in ascending order.
    """

    size: int
    starts: NDArray[np.integer]
    pages: NDArray[np.integer]

    @classmethod
    def of(
        cls,
        numbers: Sequence[int],
        codes: Sequence[NDArray[np.uint16]],
        *,
        size: int,
        centroids: int,
    ) -> Self:
        """The lists of some pages.

        Args:
            numbers: Numbers of the pages, ascending.
            codes: Centroids of each page.
            size: Larger than any number.
            centroids: Number of centroids of the codebook.
        """
        kind = np.uint16 if size <= 1 << 16 else np.uint32
        if not numbers:
            return cls(size, np.zeros(centroids + 1, np.int64), np.empty(0, kind))
        every = np.concatenate(codes)
        pages = np.repeat(np.array(numbers, kind), [len(one) for one in codes])
        order = np.argsort(every, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(every, minlength=centroids))])
        return cls(size, starts, pages[order])

    def scores(self, terms: QueryTerms) -> NDArray[np.float32]:
        """float32 (size,): the sum over query tokens of the largest weight that a page has.

        A list of a fifth of all pages hardly distinguishes them and takes long to read, so every
        page gets at least its weight.
        """
        total = np.zeros(self.size, np.float32)
        best = np.empty(self.size, np.float32)
        begins = self.starts[terms.centroids]
        ends = self.starts[terms.centroids + 1]
        wide = max(_WIDE_PAGES, _WIDE_SHARE * self.size)
        for weights, firsts, lasts in zip(terms.weights, begins, ends, strict=True):
            counts = lasts - firsts
            # Weights ascend along a token's lists; if a page is in several, the last weight stays.
            after = int(np.flatnonzero(counts > wide).max(initial=-1)) + 1
            best.fill(weights[after - 1] if after else 0.0)
            lists = zip(firsts[after:].tolist(), lasts[after:].tolist(), strict=True)
            parts = [self.pages[first:last] for first, last in lists]
            if parts:
                pages = np.concatenate(parts, dtype=np.intp)
                best[pages] = np.repeat(weights[after:], counts[after:])
            total += best
        return total

    def with_others(self, other: PostingLists, *, offset: int) -> PostingLists:
        """These lists together with lists of later pages, whose numbers increase by ``offset``."""
        size = offset + other.size
        kind = np.uint16 if size <= 1 << 16 else np.uint32
        mine, theirs = np.diff(self.starts), np.diff(other.starts)
        pages = np.empty(len(self.pages) + len(other.pages), kind)
        pages[np.arange(len(self.pages)) + np.repeat(other.starts[:-1], mine)] = self.pages
        shifted = other.pages.astype(np.int64) + offset
        pages[np.arange(len(other.pages)) + np.repeat(self.starts[1:], theirs)] = shifted
        return PostingLists(size, self.starts + other.starts, pages)

    def only(self, keep: NDArray[np.bool_]) -> PostingLists:
        """The lists with only the pages that ``keep``, bool (size,), marks."""
        kept = keep[self.pages]
        before = np.concatenate([[0], np.cumsum(kept)])
        return PostingLists(self.size, before[self.starts], self.pages[kept])


def _k_means(tokens: NDArray[np.float32], count: int, seed: int) -> NDArray[np.float32]:
    """Centroids of length 1, by similarity; a copy of the tokens if they are few enough."""
    import torch

    if len(tokens) <= count:
        return tokens.copy()
    chance = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        given = torch.from_numpy(tokens)
        centroids = given[torch.randperm(len(given), generator=chance)[:count]]
        for _ in range(_ROUNDS):
            nearest = torch.from_numpy(_nearest(tokens, centroids.numpy()))
            sums = torch.zeros_like(centroids).index_add_(0, nearest, given)
            lengths = sums.norm(dim=1, keepdim=True)
            # A centroid without tokens stays where it is.
            centroids = torch.where(lengths > 1e-6, sums / lengths.clamp_min(1e-6), centroids)
        return centroids.numpy()


def _nearest(tokens: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.int64]:
    rows = _slices(tokens, _ROWS_AT_ONCE)
    # numpy finds the best in this thread; torch would use other threads too.
    return np.concatenate([_products(part, centroids).argmax(axis=1) for part in rows])


def _products(rows: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        return (torch.from_numpy(rows) @ torch.from_numpy(centroids).T).numpy()


def _slices(tokens: NDArray[np.float32], length: int) -> list[NDArray[np.float32]]:
    return [tokens[start : start + length] for start in range(0, len(tokens), length)]
