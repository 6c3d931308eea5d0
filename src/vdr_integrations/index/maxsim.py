"""MaxSim: how late interaction compares a query with a page. Pure arithmetic.

The score of a page is the sum, over the query's tokens, of the best dot product with any of the
page's tokens. Pages have different numbers of tokens and are never padded: a padding row of zeros
would beat every negative similarity, and a page's score would depend on its neighbours.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np

from vdr_integrations.encoders.torch_threads import call_where_torch_works
from vdr_integrations.errors import InvalidVectorError, OptionError
from vdr_integrations.index.page_scorer import best_sum, score_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from numpy.typing import NDArray

    from vdr_integrations.index.page_scorer import PageScorer
    from vdr_integrations.types import PatchGrid

    Matrix: TypeAlias = NDArray[np.float32] | NDArray[np.float16]

__all__ = ["Precision", "check_matrix", "maxsim_score", "maxsim_scores", "similarity_grids"]

Precision = Literal["float32", "bfloat16", "int8"]
"""``float32``: exact to 1e-6 relative. ``bfloat16``: half the bytes, a score is off by up to
2e-3 relative. ``int8`` (one scale a token, CPU only): a quarter of the bytes, likewise 2e-3.
Measured against float64 on 200 random pages of 500 to 760 tokens of 128 components and a query of
20 tokens: 2e-7, 1.2e-3 and 1.6e-3."""

_Number = TypeVar("_Number", bound=np.generic)
_DTYPES = ("float32", "float16")
_GPU_PAGES = 256
"""Pages sent to a GPU at once: 100 MB of 768 tokens of 128 float32 numbers."""


def maxsim_score(query: Matrix, page: Matrix) -> float:
    """Score of one page: products in float32, their sum in float64.

    Args:
        query: float32 or float16 (query tokens, dimension).
        page: float32 or float16 (page tokens, dimension).

    Raises:
        OptionError: Another shape or dtype.
        InvalidVectorError: No tokens, NaN or infinity.
    """
    _check_pair(query, page)
    return _score(query, page)


def maxsim_scores(
    query: Matrix,
    pages: Sequence[Matrix],
    *,
    precision: Precision = "float32",
    device: str | None = None,
) -> NDArray[np.float32]:
    """Scores of pages of any lengths; each is what the page would score alone.

    One matrix product a page on a CPU, one after the other in one buffer, which beats padding
    them to one length (``benchmarks/maxsim.py`` prints times beside other packages'). On a
    GPU pages go over packed, and the fused kernel of ``late-interaction-kernels`` is used for
    ``bfloat16`` where that package is installed (its products are rounded to 16 bits, so it never
    serves ``float32``). The GPU path has not been run by the authors.

    Args:
        query: float32 or float16 (query tokens, dimension).
        pages: float32 or float16, each (its tokens, dimension).
        precision: How products are formed, see :data:`Precision`; sums are float32 always.
        device: "cuda", "cuda:1"...; a CPU when left out.

    Returns:
        float32 (pages,).

    Raises:
        OptionError: Shapes, dtypes, precision or device that do not fit.
        InvalidVectorError: No tokens, NaN or infinity.
    """
    _check_precision(precision)
    _check("the query", query)
    for number, page in enumerate(pages):
        _check_shape(_nth(number, pages), page, dimension=query.shape[1])
    if not pages:
        return np.empty(0, np.float32)
    if device is not None and device != "cpu":
        for number, page in enumerate(pages):
            _check_finite(_nth(number, pages), page)
        return _on_gpu(query, pages, precision=precision, device=device)
    if precision == "float32":
        return _exact(query, pages)
    return call_where_torch_works(lambda: _on_cpu(query, pages, precision=precision))


def similarity_grids(query: Matrix, page: Matrix, grid: PatchGrid) -> NDArray[np.float32]:
    """How similar every query token is to every place on the page: what heat maps show.

    Args:
        query: float32 or float16 (query tokens, dimension).
        page: float32 or float16 (page tokens, dimension), not pooled.
        grid: Which rows of ``page`` are visual tokens.

    Returns:
        float32 (query tokens, grid.rows, grid.columns), dot products.

    Raises:
        OptionError: Another shape or dtype, or a grid that lies outside the page's rows.
        InvalidVectorError: No tokens, NaN or infinity.
    """
    _check_pair(query, page)
    if grid.span.stop > len(page):
        raise OptionError(
            f"a grid of {grid.rows} x {grid.columns} visual tokens from row {grid.first} needs "
            f"{grid.span.stop} rows, the page's matrix has {len(page)}; give the grid of this "
            f"page, and vectors that are not pooled."
        )
    visual = page[grid.span].astype(np.float32, copy=False)
    return (query.astype(np.float32, copy=False) @ visual.T).reshape(
        len(query), grid.rows, grid.columns
    )


def check_matrix(
    subject: str, matrix: NDArray[_Number], *, dimension: int | None = None
) -> NDArray[_Number]:
    """Refuse what is not a matrix of token vectors; gives back what it was given.

    Raises:
        OptionError: Another shape or dtype.
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


def _check_precision(precision: str) -> None:
    allowed = ("float32", "bfloat16", "int8")
    if precision not in allowed:
        raise OptionError(f"precision must be one of {', '.join(allowed)}, found {precision!r}.")


def _score(query: Matrix, page: Matrix) -> float:
    products = page.astype(np.float32, copy=False) @ query.astype(np.float32, copy=False).T
    return float(np.float32(products.max(axis=0).sum(dtype=np.float64)))


def _exact(query: Matrix, pages: Sequence[Matrix]) -> NDArray[np.float32]:
    doubtful: list[int] = []

    def score(scorer: PageScorer, number: int) -> float:
        products = scorer.products(pages[number])
        # A number that is not finite spoils a product with every query token. Looking at the pages
        # themselves instead takes longer.
        if not math.isfinite(products.sum().item()):
            doubtful.append(number)
        return best_sum(products)

    asked = query.astype(np.float32, copy=False)
    scores = score_pages(asked, [len(page) for page in pages], score)
    for number in sorted(doubtful):
        _check_finite(_nth(number, pages), pages[number])
    return scores


def _on_cpu(query: Matrix, pages: Sequence[Matrix], *, precision: Precision) -> NDArray[np.float32]:
    import torch

    prepare: Callable[[torch.Tensor], Callable[[torch.Tensor], torch.Tensor]]
    prepare = {"bfloat16": _rounded, "int8": _quantised}[precision]
    scores = torch.empty(len(pages), dtype=torch.float32)
    with torch.inference_mode():
        multiply = prepare(_tensor(query))
        for number, page in enumerate(pages):
            products = multiply(_tensor(page))
            if not torch.isfinite(products.sum()):
                _check_finite(_nth(number, pages), page)
            scores[number] = products.amax(1).sum()
    return scores.numpy()


def _tensor(matrix: Matrix) -> torch.Tensor:
    import torch

    # torch warns of read-only memory, which retrieved and mapped vectors often are.
    found = np.ascontiguousarray(matrix, dtype=np.float32)
    return torch.from_numpy(found if found.flags.writeable else found.copy())


def _rounded(query: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    rounded = query.bfloat16()
    return lambda page: (rounded @ page.bfloat16().T).float()


def _quantised(query: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    import torch

    def eight_bits(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scales = matrix.abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        scales = scales / 127
        return (matrix / scales).round().to(torch.int8), scales

    multiply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    multiply = getattr(torch, "_int_mm")  # noqa: B009  # private: the only int8 product torch has
    query_codes, query_scales = eight_bits(query)

    def products(page: torch.Tensor) -> torch.Tensor:
        codes, scales = eight_bits(page)
        return multiply(query_codes, codes.T).float() * scales.T * query_scales

    return products


def _on_gpu(
    query: Matrix,
    pages: Sequence[Matrix],
    *,
    precision: Precision,
    device: str,
) -> NDArray[np.float32]:
    import torch

    if precision == "int8":
        raise OptionError("precision='int8' runs on a CPU only; use 'bfloat16' on a GPU.")
    if device.partition(":")[0] == "cuda" and not torch.cuda.is_available():
        raise OptionError(f"device={device!r}, and torch finds no CUDA device; leave device out.")
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    with torch.inference_mode():
        asked = _tensor(query).to(device, dtype)
        scores = [
            _packed_scores(asked, pages[start : start + _GPU_PAGES])
            for start in range(0, len(pages), _GPU_PAGES)
        ]
        return torch.cat(scores).cpu().numpy()


def _packed_scores(query: torch.Tensor, pages: Sequence[Matrix]) -> torch.Tensor:
    import torch

    lengths = torch.tensor([len(page) for page in pages], device=query.device)
    packed = torch.cat([_tensor(page) for page in pages]).to(query.device, query.dtype)
    return _best_sums(query, packed, lengths)


def _best_sums(query: torch.Tensor, packed: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Scores of pages whose rows lie one after the other, all on one device."""
    import torch

    if query.dtype == torch.bfloat16 and query.device.type == "cuda":
        fused = _fused_kernel()
        if fused is not None:
            start = lengths.new_zeros(1)
            query_ends = torch.tensor([0, len(query)], device=query.device)
            return fused(query, packed, query_ends, torch.cat([start, lengths.cumsum(0)]))[0]
    products = (packed @ query.T).float()
    best = torch.segment_reduce(products, "max", lengths=lengths, axis=0)
    return best.sum(1)


@cache
def _fused_kernel() -> Callable[..., torch.Tensor] | None:
    try:
        from late_interaction_kernels import (  # pyright: ignore[reportMissingImports]  # optional, NVIDIA only
            maxsim_varlen,
        )
    except ImportError:
        return None
    return maxsim_varlen
