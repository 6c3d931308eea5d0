"""Stage 4, whitening: what all pages share counts less, what tells them apart counts more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from training.labels import PageCodes
from training.nano import without_constants
from training.pages import A4, Style, make_page

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from training.codes import CharCodes

PAGES = 300
FLOOR = 0.5  # share of the mean eigenvalue that is added to each


@torch.no_grad()
def page_vectors(codes: CharCodes, *, pages: int = PAGES, seed: int = 99) -> Tensor:
    """Unit vectors (pages, dimension) of synthetic pages, from what is printed on them."""
    rng = np.random.default_rng(seed)
    sums = []
    while len(sums) < pages:
        printed = PageCodes(make_page(rng, Style(*A4, (9.5, 14.0), usual=True)))
        if len(printed.windows):
            values = torch.from_numpy(printed.value)[:, None]
            sums.append((codes(torch.from_numpy(printed.windows)) * values).sum(0))
    return torch.nn.functional.normalize(without_constants(torch.stack(sums)), dim=-1)


def whitening(vectors: Tensor, *, floor: float = FLOOR) -> Tensor:
    """Symmetric inverse root (dimension, dimension) of the vectors' second moment."""
    directions, spread, _ = torch.linalg.svd(vectors.T @ vectors / len(vectors))
    scale = (spread + floor * spread.mean()).rsqrt()
    return directions @ torch.diag(scale / scale.mean()) @ directions.T


def fit_whitening(out: Path, codes: CharCodes) -> Tensor:
    """Fit the whitening, or load it from ``out/whitening.pt``."""
    path = out / "whitening.pt"
    if path.exists():
        return torch.load(path, weights_only=True)
    matrix = whitening(page_vectors(codes))
    torch.save(matrix, path)
    return matrix
