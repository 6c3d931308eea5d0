"""Our vectors compared with the card's, full 2B configuration: cosine of pages and queries.

The weights are random numbers in bfloat16. Pages are computed in bfloat16, queries in float32 too.

python -m benchmarks.parity [--checkpoint FOLDER]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.arguments import arguments
from benchmarks.card_path import CardPath
from benchmarks.full_size import checkpoint_folder
from benchmarks.sample_pages import sample_pages
from benchmarks.timing import machine
from vdr_integrations import DenseEncoder

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

AT_LEAST = 0.9995  # bfloat16
AT_LEAST_EXACT = 0.99999  # float32
QUERIES = ["revenue", "What was the revenue of the third quarter?", "Wie hoch war der Umsatz?"]


def cosines(ours: np.ndarray, cards: np.ndarray) -> np.ndarray:
    """Row by row, in float64."""
    return (ours.astype(np.float64) * cards).sum(axis=1)


def compare_pages(folder: Path, images: list[Image.Image]) -> float:
    """Print and return the smallest cosine of pages, both sides in bf16."""
    card = CardPath(folder, dtype=torch.bfloat16)
    encoder = DenseEncoder.load(str(folder), device="cpu", dtype="bfloat16")
    expected = np.concatenate([card.encode_documents([i], encoder.dimension) for i in images])
    # Random weights tell pages apart less well than trained ones: show that they do at all.
    spread = (expected @ expected.T)[~np.eye(len(images), dtype=bool)]
    found = cosines(encoder.encode_pages(images), expected)
    print(f"cosine between different pages: {spread.min():.4f} to {spread.max():.4f}")
    print(f"pages, bfloat16: cosine to the card's path min {found.min():.6f}, n={len(found)}")
    return float(found.min())


def compare_queries(folder: Path) -> float:
    """Print the smallest cosines of queries; returns that in float32.

    In bfloat16 random weights of 28 layers blow rounding up, so both ways are also compared with
    the card's own in float32.
    """
    cards: dict[torch.dtype, np.ndarray] = {}
    ours: dict[torch.dtype, np.ndarray] = {}
    for dtype in (torch.bfloat16, torch.float32):
        encoder = DenseEncoder.load(str(folder), device="cpu", dtype=dtype)
        ours[dtype] = encoder.encode_queries(QUERIES)
        dimension = encoder.dimension
        del encoder
        cards[dtype] = CardPath(folder, dtype=dtype).encode_queries(QUERIES, dimension)
    exact, rounded = torch.float32, torch.bfloat16
    for what, one, other in (
        ("float32, ours and the card's", ours[exact], cards[exact]),
        ("bfloat16, ours and the card's", ours[rounded], cards[rounded]),
        ("ours in bfloat16 and the card's in float32", ours[rounded], cards[exact]),
        ("the card's in bfloat16 and in float32", cards[rounded], cards[exact]),
    ):
        print(f"queries, {what}: cosine min {cosines(one, other).min():.6f}, n={len(QUERIES)}")
    return float(cosines(ours[exact], cards[exact]).min())


def main() -> None:
    """Exit with an error below the bars."""
    options = arguments("Parity with the card's path")
    print(machine())
    with checkpoint_folder(options) as folder:
        queries = compare_queries(folder)
        pages = compare_pages(folder, sample_pages(3))
    if pages < AT_LEAST or queries < AT_LEAST_EXACT:
        raise SystemExit(f"pages {pages:.6f} (bar {AT_LEAST}), queries {queries:.6f}")


if __name__ == "__main__":
    main()
