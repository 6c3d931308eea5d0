"""How similar each token of a question is to each place on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SimilarityGrids"]


class SimilarityGrids(NamedTuple):
    """The data of a heat map.

    Attributes:
        tokens: Text of every query token, prompt included, in order.
        grids: float32 (query tokens, rows, columns): cosine of each query token with each visual
            token. The visual tokens cover the page's image evenly, row by row.
    """

    tokens: tuple[str, ...]
    grids: NDArray[np.float32]
