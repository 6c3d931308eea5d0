"""Scores pages by MaxSim, one after the other in one buffer, by few threads.

A page alone fits a core's cache, and its score cannot depend on what stands beside it: batches of
eight pages took half as long again, and their scores differed in the last bit or two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vdr_integrations.encoders.runtime.torch_threads import core_count, share_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch
    from numpy.typing import NDArray

__all__ = ["PageScorer", "best_sum", "score_pages"]

_PAGES_OF_THREAD = 256
"""Fewer pages are not worth waking another thread: threads take turns at Python's lock, and where
two cores are one core's hyperthreads, two threads take half as long again of CPU for a tenth less
of time."""


class PageScorer:
    """Multiplies one query with pages, in a thread where torch computes on one core."""

    def __init__(self, query: NDArray[np.float32], *, most_tokens: int) -> None:
        """Make room.

        Args:
            query: float32 (query tokens, dimension).
            most_tokens: Of a page.
        """
        import torch

        # Where a matrix begins may change the last bit of a product: torch's own are aligned.
        self._query = torch.tensor(query)
        self._rows = torch.empty(most_tokens, query.shape[1])
        self._products = torch.empty(len(query) * most_tokens)

    def products(self, page: NDArray[Any]) -> torch.Tensor:
        """Dot products of query and page, until the next call: float32 (query tokens, tokens).

        Args:
            page: float32, float16 or int8 (tokens, dimension).
        """
        import torch

        rows = self._rows[: len(page)]
        if page.flags.writeable:
            rows.copy_(torch.from_numpy(page))
        else:  # torch warns of read-only memory
            rows.numpy()[:] = page
        size = len(self._query) * len(page)
        return torch.mm(self._query, rows.T, out=self._products[:size].view(-1, len(page)))


def best_sum(products: torch.Tensor) -> float:
    """MaxSim: the sum over query tokens of the best product with any token of the page.

    Args:
        products: float32 (query tokens, tokens).

    Returns:
        Summed in float64, so that the order of a sum cannot be seen.
    """
    return float(products.amax(1).numpy().sum(dtype=np.float64))


def score_pages(
    query: NDArray[np.float32], tokens: Sequence[int], score: Callable[[PageScorer, int], float]
) -> NDArray[np.float32]:
    """Scores of pages.

    Args:
        query: float32 (query tokens, dimension).
        tokens: Of each page, how many it has.
        score: Gives the score of a page, which is named by its position in ``tokens``.

    Returns:
        float32 (pages,).
    """
    scores = np.empty(len(tokens), np.float32)
    most_tokens = max(tokens, default=0)

    def work(positions: Iterator[int]) -> None:
        import torch

        with torch.inference_mode():
            scorer = PageScorer(query, most_tokens=most_tokens)
            for position in positions:
                scores[position] = score(scorer, position)

    threads = min(core_count(), max(1, len(tokens) // _PAGES_OF_THREAD))
    share_out(work, range(len(tokens)), threads=threads)
    return scores
