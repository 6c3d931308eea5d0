"""Score pages by MaxSim, one after the other in one buffer, with few threads.

One page fits into the cache of a core, and its score cannot depend on other pages. Batches of eight
pages took 50 % longer, and their scores differed in the last bit or two.
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
"""For fewer pages, another thread is not worth it: threads wait for Python's lock, and if two cores
are hyperthreads of one core, two threads need 50 % more CPU time to finish 10 % sooner."""


class PageScorer:
    """Multiplies one query with pages, in a thread in which torch computes on one core."""

    def __init__(self, query: NDArray[np.float32], *, most_tokens: int) -> None:
        """Allocate the buffers.

        Args:
            query: float32 (query tokens, dimension).
            most_tokens: Largest number of tokens of a page.
        """
        import torch

        # The address of a matrix may change the last bit of a product; torch aligns its own.
        self._query = torch.tensor(query)
        self._rows = torch.empty(most_tokens, query.shape[1])
        self._products = torch.empty(len(query) * most_tokens)

    def products(self, page: NDArray[Any]) -> torch.Tensor:
        """Dot products, float32 (query tokens, tokens); the next call overwrites them.

        Args:
            page: float32, float16 or int8 (tokens, dimension).
        """
        import torch

        rows = self._rows[: len(page)]
        if page.flags.writeable:
            rows.copy_(torch.from_numpy(page))
        else:  # torch warns about read-only memory
            rows.numpy()[:] = page
        size = len(self._query) * len(page)
        return torch.mm(self._query, rows.T, out=self._products[:size].view(-1, len(page)))


def best_sum(products: torch.Tensor) -> float:
    """MaxSim: the sum over query tokens of the best product with any token of the page.

    Args:
        products: float32 (query tokens, tokens).

    Returns:
        The sum, in float64, so that the order of addition does not show.
    """
    return float(products.amax(1).numpy().sum(dtype=np.float64))


def score_pages(
    query: NDArray[np.float32], tokens: Sequence[int], score: Callable[[PageScorer, int], float]
) -> NDArray[np.float32]:
    """Scores of pages.

    Args:
        query: float32 (query tokens, dimension).
        tokens: Number of tokens of each page.
        score: Returns the score of the page at this position in ``tokens``.

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
