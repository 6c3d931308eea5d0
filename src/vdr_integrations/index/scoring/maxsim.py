"""MaxSim: how late interaction compares a query with a page. Pure arithmetic.

The score of a page is the sum, over the query's tokens, of the best dot product with any of the
page's tokens. Pages have different numbers of tokens and are never padded: a padding row of zeros
would win over every negative similarity, and the score of a page would depend on its neighbours.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from vdr_integrations.errors import InvalidVectorError, OptionError
from vdr_integrations.index.scoring.page_scorer import best_sum, score_pages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.index.scoring.page_scorer import PageScorer
    from vdr_integrations.types import PatchGrid

    Matrix: TypeAlias = NDArray[np.float32] | NDArray[np.float16]

__all__ = ["check_matrix", "maxsim_score", "maxsim_scores", "similarity_grids"]

_Number = TypeVar("_Number", bound=np.generic)
_DTYPES = ("float32", "float16")


def maxsim_score(query: Matrix, page: Matrix) -> float:
    """Score of one page: products in float32, their sum in float64.

    Args:
        query: float32 or float16 (query tokens, dimension).
        page: float32 or float16 (page tokens, dimension).

    Raises:
        OptionError: A wrong shape or dtype.
        InvalidVectorError: No tokens, NaN or infinity.
    """
    _check_pair(query, page)
    return float(_scores(query, [page])[0])


def maxsim_scores(query: Matrix, pages: Sequence[Matrix]) -> NDArray[np.float32]:
    """Scores of pages of any lengths; each page gets the score that it would get alone.

    This computes one matrix product per page, one after the other in one buffer, which is faster
    than padding the pages to one length (``benchmarks/maxsim.py`` prints times, also of other
    packages).

    Args:
        query: float32 or float16 (query tokens, dimension).
        pages: float32 or float16, each (its tokens, dimension).

    Returns:
        float32 (pages,): products in float32, their sums in float64.

    Raises:
        OptionError: A wrong shape or dtype.
        InvalidVectorError: No tokens, NaN or infinity.
    """
    _check("the query", query)
    for number, page in enumerate(pages):
        _check_shape(_nth(number, pages), page, dimension=query.shape[1])
    return _scores(query, pages)


def similarity_grids(query: Matrix, page: Matrix, grid: PatchGrid) -> NDArray[np.float32]:
    """How similar each query token is to each place on the page; heat maps show this.

    Args:
        query: float32 or float16 (query tokens, dimension).
        page: float32 or float16 (page tokens, dimension), not pooled.
        grid: Which rows of ``page`` are visual tokens.

    Returns:
        float32 (query tokens, grid.rows, grid.columns), dot products.

    Raises:
        OptionError: A wrong shape or dtype, or a grid that lies outside the page's rows.
        InvalidVectorError: No tokens, NaN or infinity.
    """
    _check_pair(query, page)
    if grid.span.stop > len(page):
        raise OptionError(
            f"a grid of {grid.rows} x {grid.columns} visual tokens from row {grid.first} needs "
            f"{grid.span.stop} rows, but the page's matrix has {len(page)}; give the grid of this "
            f"page, and vectors that are not pooled."
        )
    visual = page[grid.span].astype(np.float32, copy=False)
    return (query.astype(np.float32, copy=False) @ visual.T).reshape(
        len(query), grid.rows, grid.columns
    )


def check_matrix(
    subject: str, matrix: NDArray[_Number], *, dimension: int | None = None
) -> NDArray[_Number]:
    """Refuse anything that is not a matrix of token vectors; returns the matrix.

    Raises:
        OptionError: A wrong shape or dtype.
        InvalidVectorError: No rows, NaN or infinity.
    """
    _check(subject, matrix, dimension=dimension)
    return matrix


def _check_pair(query: Matrix, page: Matrix) -> None:
    _check("the query", query)
    _check("the page", page, dimension=query.shape[1])


def _nth(number: int, pages: Sequence[Matrix]) -> str:
    return f"page {number} of {len(pages)}"


def _check(subject: str, matrix: NDArray[Any], *, dimension: int | None = None) -> None:
    _check_shape(subject, matrix, dimension=dimension)
    _check_finite(subject, matrix)


def _check_finite(subject: str, matrix: NDArray[Any]) -> None:
    if not np.isfinite(matrix).all():
        raise InvalidVectorError(f"{subject} holds NaN or infinity; encode it again.")


def _check_shape(subject: str, matrix: NDArray[Any], *, dimension: int | None = None) -> None:
    if not isinstance(matrix, np.ndarray):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
        raise OptionError(
            f"{subject} must be a numpy array of (tokens, dimension), "
            f"found {type(matrix).__name__}."
        )
    if matrix.ndim != 2 or (dimension is not None and matrix.shape[1] != dimension):
        wanted = "dimension" if dimension is None else str(dimension)
        raise OptionError(
            f"{subject} must have the shape (tokens, {wanted}), found {matrix.shape}."
        )
    if matrix.dtype.name not in _DTYPES:
        raise OptionError(f"{subject} must be float32 or float16, found {matrix.dtype}.")
    if 0 in matrix.shape:
        raise InvalidVectorError(f"{subject} has no tokens, found shape {matrix.shape}.")


def _scores(query: Matrix, pages: Sequence[Matrix]) -> NDArray[np.float32]:
    doubtful: list[int] = []

    def score(scorer: PageScorer, number: int) -> float:
        products = scorer.products(pages[number])
        # A number that is not finite spoils its product with every query token. To check the pages
        # themselves takes longer.
        if not math.isfinite(products.sum().item()):
            doubtful.append(number)
        return best_sum(products)

    asked = query.astype(np.float32, copy=False)
    scores = score_pages(asked, [len(page) for page in pages], score)
    for number in sorted(doubtful):
        _check_finite(_nth(number, pages), pages[number])
    return scores
