"""Why a page was found: how similar each token of a question is to each place on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SimilarityGrids"]


class SimilarityGrids(NamedTuple):
    """What heat maps are drawn from.

    Attributes:
        tokens: Text of every query token, prompt included, in order.
        grids: float32 (query tokens, rows, columns): its cosine with every visual token, which
            cover the page's image evenly, line by line.
    """

    tokens: tuple[str, ...]
    grids: NDArray[np.float32]
