"""Exact MaxSim of stored pages, straight from mapped bytes.

Many pages are scored in batches: bytes copied together, checked, made float32 and multiplied at
once. Sums of products then depend on the batch in the last bit or two, so that the pages which may
be among the best are scored again, each alone (:func:`exact_scores`): a score never depends on what
stands beside a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.encoders.torch_threads import share_out
from vdr_integrations.index.folder.places import word_sum
from vdr_integrations.index.folder.troubles import altered
from vdr_integrations.index.folder.vector_bytes import (
    token_length,
    token_matrix,
    token_rows,
    token_scales,
)
from vdr_integrations.index.page_batches import (
    BATCH_ROWS,
    best_sums,
    first_rows,
    row_batches,
    scoring_threads,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import NDArray

    from vdr_integrations.index.compression import VectorFormat
    from vdr_integrations.index.folder.snapshot import Snapshot

__all__ = ["contending", "exact_scores", "rough_scores", "stored_tokens"]

_ERROR = 1e-4
"""Scores of batches are off by less: 64 query tokens by 1e-6 each."""


def rough_scores(
    snapshot: Snapshot,
    query: NDArray[np.float32],
    pages: NDArray[np.intp],
    *,
    vectors: VectorFormat,
) -> NDArray[np.float32]:
    """MaxSim of a query with pages, good to 1e-4.

    Args:
        snapshot: The pages.
        query: float32 (query tokens, dimension).
        pages: Which, as indices of the snapshot.
        vectors: How they are stored.

    Raises:
        IndexFormatError: Vectors that are not what was written.
    """
    return _Batches(snapshot, query, pages, vectors, together=True).scores()


def exact_scores(
    snapshot: Snapshot,
    query: NDArray[np.float32],
    pages: NDArray[np.intp],
    *,
    vectors: VectorFormat,
) -> NDArray[np.float32]:
    """MaxSim of a query with pages, each worked out alone; see :func:`rough_scores`."""
    return _Batches(snapshot, query, pages, vectors, together=False).scores()


def contending(pages: NDArray[np.intp], rough: NDArray[np.float32], *, k: int) -> NDArray[np.intp]:
    """The pages that may be among the ``k`` best: more than ``k`` where scores are nearly equal.

    Args:
        pages: As indices of a snapshot, more than ``k``.
        rough: Their :func:`rough_scores`.
        k: How many are wanted.
    """
    return pages[rough >= np.partition(rough, -k)[-k] - _ERROR]


def stored_tokens(snapshot: Snapshot, index: int, *, vectors: VectorFormat) -> NDArray[np.float32]:
    """The token vectors of a page as they are stored: float32 (tokens, dimension).

    Raises:
        IndexFormatError: They are not what was written.
    """
    settings = snapshot.manifest.settings.tokens
    assert settings is not None  # noqa: S101  # only indexes of token vectors come here
    place = snapshot.places[index]
    tokens, dimension = int(place["tokens"]), settings.dimension
    length = token_length(tokens, dimension=dimension, vectors=vectors)
    data = snapshot.stored_bytes(index, "token", length)
    if data is None or word_sum(data) != int(place["token_sum"]):
        raise _altered(snapshot, index)
    return token_matrix(data, tokens=tokens, dimension=dimension, vectors=vectors)


def _altered(snapshot: Snapshot, index: int) -> Exception:
    return altered(snapshot.folder, snapshot.where(index), "its vectors were altered")


class _Batches:
    """Pages to be scored, a few at a time."""

    def __init__(
        self,
        snapshot: Snapshot,
        query: NDArray[np.float32],
        pages: NDArray[np.intp],
        vectors: VectorFormat,
        *,
        together: bool,
    ) -> None:
        self._snapshot = snapshot
        self._vectors: VectorFormat = vectors
        self._dimension = query.shape[1]
        self._query = np.array(query)
        self._pages = pages
        chosen = snapshot.places[pages]
        self._tokens: list[int] = chosen["tokens"].tolist()
        self._sums: NDArray[np.uint64] = chosen["token_sum"]
        self._offsets: list[int] = chosen["token_offset"].tolist()
        self._segments: list[int] = chosen["token_segment"].tolist()
        self._lengths = [
            token_length(tokens, dimension=self._dimension, vectors=vectors)
            for tokens in self._tokens
        ]
        most_rows = BATCH_ROWS if together else 1
        self._batches = list(row_batches(self._tokens, most_rows=most_rows))
        self._scores = np.empty(len(pages), np.float32)

    def scores(self) -> NDArray[np.float32]:
        """float32, a score for each of the pages."""
        share_out(self._work, self._batches, threads=scoring_threads(len(self._pages)))
        return self._scores

    def _work(self, batches: Iterator[slice]) -> None:
        import torch

        most_bytes = max(sum(self._lengths[batch]) for batch in self._batches)
        most_rows = max(sum(self._tokens[batch]) for batch in self._batches)
        data = torch.empty(most_bytes, dtype=torch.uint8)
        rows = torch.empty(most_rows, self._dimension)
        # Where a matrix begins may change the last bit of a product: torch's own are aligned.
        query = torch.from_numpy(self._query).clone()
        with torch.inference_mode():
            for batch in batches:
                self._scores[batch] = self._of_batch(batch, data, rows, query)

    def _of_batch(
        self, batch: slice, data: torch.Tensor, rows: torch.Tensor, query: torch.Tensor
    ) -> NDArray[np.float32]:
        import torch

        lengths, tokens = self._lengths[batch], self._tokens[batch]
        starts = first_rows(lengths)
        data = data[: sum(lengths)]
        torch.cat([torch.from_numpy(part) for part in self._parts(batch)], out=data)
        kept = data.numpy()
        # The copy is checked, which nobody changes any more.
        sums = np.add.reduceat(kept.view("<u8"), starts // 8)
        wrong = np.flatnonzero(sums != self._sums[batch])
        if len(wrong):
            raise _altered(self._snapshot, int(self._pages[batch][wrong[0]]))
        rows = rows[: sum(tokens)]
        self._fill(rows, kept, starts, tokens)
        products = query @ rows.T
        if self._vectors == "int8":
            products *= torch.from_numpy(self._scales(kept, starts, tokens))
        return best_sums(products.numpy(), tokens)

    def _parts(self, batch: slice) -> Iterator[NDArray[np.uint8]]:
        for position in range(batch.start, batch.stop):
            segment = self._snapshot.segments.get(self._segments[position])
            start, length = self._offsets[position], self._lengths[position]
            part = np.empty(0, np.uint8) if segment is None else segment[start : start + length]
            if len(part) < length:
                raise _altered(self._snapshot, int(self._pages[position]))
            yield part

    def _fill(
        self,
        rows: torch.Tensor,
        kept: NDArray[np.uint8],
        starts: NDArray[np.intp],
        tokens: list[int],
    ) -> None:
        """Put the numbers of all pages into ``rows``."""
        import torch

        count = sum(tokens)
        whole = token_length(count, dimension=self._dimension, vectors=self._vectors)
        if self._vectors != "int8" and whole == len(kept):  # nothing lies between pages
            found = token_rows(kept, tokens=count, dimension=self._dimension, vectors=self._vectors)
            rows.copy_(torch.from_numpy(found))
            return
        for first, start, own in zip(first_rows(tokens), starts, tokens, strict=True):
            found = token_rows(
                kept[start:], tokens=own, dimension=self._dimension, vectors=self._vectors
            )
            rows[int(first) : int(first) + own].copy_(torch.from_numpy(found))

    def _scales(
        self, kept: NDArray[np.uint8], starts: NDArray[np.intp], tokens: list[int]
    ) -> NDArray[np.float32]:
        found = [
            token_scales(kept[start:], tokens=own, dimension=self._dimension)
            for start, own in zip(starts, tokens, strict=True)
        ]
        return np.concatenate(found).astype(np.float32)
