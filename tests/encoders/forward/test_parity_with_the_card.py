"""Our vectors beside those of the model card's own code, on random weights in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from benchmarks.card_path import CardPath
from PIL import Image

from vdr_integrations import DenseEncoder
from vdr_integrations.encoders.forward import backbone

if TYPE_CHECKING:
    from pathlib import Path

QUERIES = [
    "revenue",
    "What was the revenue of the third quarter?",
    "Wie groß ist die Fläche der Räume im 2. Stock (in m²)?",
    "  two  spaces and a trailing one ",
    "",
]
SHAPES = [(595, 842), (842, 595), (1654, 2339), (100, 100), (28, 28), (13, 900), (640, 480)]
DIMENSIONS = [64, 48, 21, 1]
AT_LEAST = 0.99999


@pytest.fixture(scope="module")
def card(tiny_checkpoint: Path) -> CardPath:
    return CardPath(tiny_checkpoint)


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    return [noise(width, height, seed) for seed, (width, height) in enumerate(SHAPES)]


def noise(width: int, height: int, seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def cosines(ours: np.ndarray, cards: np.ndarray) -> np.ndarray:
    return (ours.astype(np.float64) * cards).sum(axis=1)


@pytest.fixture(scope="module", params=[None, 3000], ids=["one page a batch", "mixed batches"])
def encoder(tiny_checkpoint: Path, request: pytest.FixtureRequest) -> DenseEncoder:
    return DenseEncoder.load(str(tiny_checkpoint), device="cpu", batch_visual_tokens=request.param)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_pages_of_every_shape_get_the_cards_vectors(
    encoder: DenseEncoder,
    card: CardPath,
    images: list[Image.Image],
    tiny_checkpoint: Path,
    dimension: int,
) -> None:
    cut = DenseEncoder.load(str(tiny_checkpoint), device="cpu", dimension=dimension)
    expected = np.concatenate([card.encode_documents([image], dimension) for image in images])
    assert cosines(cut.encode_pages(images), expected).min() >= AT_LEAST


def test_pages_in_a_batch_get_the_vectors_that_the_card_gives_them_in_its_own_padded_batch(
    encoder: DenseEncoder, card: CardPath, images: list[Image.Image]
) -> None:
    batch = images + images[::-1]
    assert cosines(encoder.encode_pages(batch), card.encode_documents(batch, 64)).min() >= AT_LEAST


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_queries_get_the_cards_vectors_alone_and_in_a_batch(
    card: CardPath, tiny_checkpoint: Path, dimension: int
) -> None:
    encoder = DenseEncoder.load(str(tiny_checkpoint), device="cpu", dimension=dimension)
    expected = card.encode_queries(QUERIES, dimension)
    alone = np.concatenate([encoder.encode_queries([query]) for query in QUERIES])
    assert cosines(encoder.encode_queries(QUERIES), expected).min() >= AT_LEAST
    assert cosines(alone, expected).min() >= AT_LEAST


def test_a_smaller_pixel_budget_is_the_cards_max_pixels(
    tiny_checkpoint: Path, images: list[Image.Image]
) -> None:
    small = DenseEncoder.load(str(tiny_checkpoint), device="cpu", max_visual_tokens=64)
    card = CardPath(tiny_checkpoint, max_visual_tokens=64)
    expected = np.concatenate([card.encode_documents([image], 64) for image in images[:4]])
    assert cosines(small.encode_pages(images[:4]), expected).min() >= AT_LEAST


def test_the_random_model_tells_pages_and_queries_apart(
    encoder: DenseEncoder, images: list[Image.Image]
) -> None:
    """Else every parity test above could pass with everything wrong."""
    vectors = encoder.encode_pages(images)
    off_diagonal = (vectors @ vectors.T)[~np.eye(len(vectors), dtype=bool)]
    assert off_diagonal.max() < 0.999
    queries = encoder.encode_queries(QUERIES)
    assert (queries @ queries.T)[~np.eye(len(queries), dtype=bool)].max() < 0.999


def test_visual_tokens_in_one_line_do_not_give_the_cards_vectors(
    tiny_checkpoint: Path,
    card: CardPath,
    images: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mistake of transformers' own ColQwen2, which drops the two-dimensional positions."""

    def in_one_line(
        *, before: int, grid: tuple[int, int], after: int, merge_size: int
    ) -> np.ndarray:
        length = before + grid[0] * grid[1] // merge_size**2 + after
        return np.broadcast_to(np.arange(length), (3, length)).copy()

    monkeypatch.setattr(backbone, "rope_positions", in_one_line)
    encoder = DenseEncoder.load(str(tiny_checkpoint), device="cpu")
    ours = encoder.encode_pages(images)
    expected = np.concatenate([card.encode_documents([image], 64) for image in images])
    assert cosines(ours, expected).min() < AT_LEAST
