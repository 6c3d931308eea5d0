"""Our vectors beside the card's, full 2B configuration, bf16: cosine of pages and queries.

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
from vdr_integrations import load_encoder

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

AT_LEAST = 0.9995
QUERIES = ["revenue", "What was the revenue of the third quarter?", "Wie hoch war der Umsatz?"]


def cosines(ours: np.ndarray, cards: np.ndarray) -> np.ndarray:
    """Row by row, in float64."""
    return (ours.astype(np.float64) * cards).sum(axis=1)


def compare_with_card(folder: Path, images: list[Image.Image]) -> float:
    """Print and return the smallest cosine."""
    card = CardPath(folder, dtype=torch.bfloat16)
    encoder = load_encoder(str(folder), device="cpu", dtype="bfloat16")
    dimension = encoder.dimension
    expected = np.concatenate([card.encode_documents([image], dimension) for image in images])
    found = {
        "pages": cosines(encoder.encode_pages(images), expected),
        "queries, one batch": cosines(
            encoder.encode_queries(QUERIES), card.encode_queries(QUERIES, dimension)
        ),
    }
    # Random weights tell pages apart less well than trained ones: show that they do at all.
    spread = (expected @ expected.T)[~np.eye(len(images), dtype=bool)]
    print(f"cosine between different pages: {spread.min():.4f} to {spread.max():.4f}")
    for what, values in found.items():
        print(f"{what}: cosine to the card's path min {values.min():.6f}, n={len(values)}")
    return float(min(values.min() for values in found.values()))


def main() -> None:
    """Exit with an error below 0.9995."""
    options = arguments("Parity with the card's path")
    print(machine())
    images = sample_pages(3)
    with checkpoint_folder(options) as folder:
        worst = compare_with_card(folder, images)
    if worst < AT_LEAST:
        raise SystemExit(f"cosine {worst:.6f} is below {AT_LEAST}")


if __name__ == "__main__":
    main()
