"""The stage between the first one and exact scores: vectors with one byte a number, in memory.

The server rounds token vectors to a small copy (Qdrant: quantization). Its scores are a little off,
so they only choose which candidates are read in full; those that are left out must be far behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vdr_integrations.index.server.calls import client_models

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["by_small_copy", "by_vectors_themselves", "less_bias"]

_KEPT = 4
_KEPT_AT_LEAST = 64
"""So many times the wanted pages are read in full, and at least so many pages."""


def by_small_copy(
    query: NDArray[np.float32],
    prefetch: Sequence[Any],
    *,
    found: Any,  # noqa: ANN401  # the client's filter
    limit: int,
    bias_weight: float,
    most: int,
) -> list[Any]:
    """The client's ``Prefetch`` that selects the best of some candidates by the small copy.

    If the server has not made the copy of some pages yet, it compares their vectors instead.

    Args:
        query: float32 (query tokens, dimension).
        prefetch: How the candidates are found.
        found: A filter.
        limit: Number of wanted pages.
        bias_weight: How many times the bias of a page is subtracted from its score.
        most: Number of candidates at most, if a bias is subtracted.
    """
    models = client_models()
    rough = models.SearchParams(quantization=models.QuantizationSearchParams(rescore=False))
    kept = max(_KEPT * limit, _KEPT_AT_LEAST)
    scored = models.Prefetch(
        query=query.tolist(),
        using="tokens",
        prefetch=list(prefetch),
        filter=found,
        params=rough,
        limit=max(most, kept) if bias_weight else kept,
    )
    if not bias_weight:
        return [scored]
    return [models.Prefetch(query=less_bias(bias_weight), prefetch=[scored], limit=kept)]


def by_vectors_themselves() -> Any:  # noqa: ANN401  # the client's type
    """The client's parameters without which a server that has a copy compares only that.

    ``exact=True`` does this too, but administrators can forbid it.
    """
    models = client_models()
    return models.SearchParams(quantization=models.QuantizationSearchParams(ignore=True))


def less_bias(weight: float) -> Any:  # noqa: ANN401  # the client's type
    """The client's query that subtracts the bias of a page, so many times, from its score."""
    models = client_models()
    cost = models.MultExpression(mult=[-weight, "bias"])
    return models.FormulaQuery(formula=models.SumExpression(sum=["$score", cost]))
