"""What one caller asks for is what the model runs at once, and memory stays bounded."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Self
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from tests.tiny_colqwen2 import write_base

from vdr_integrations import DenseEncoder, MultiVectorEncoder, PairedEncoder
from vdr_integrations.encoders.preprocessing import prepared

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from vdr_integrations.encoders.page_encoder import PageEncoder
    from vdr_integrations.encoders.preprocessing.prepared import PreparedPage, PreparedQuery

TOKENS = 4
"""Of the pages here: 56 x 56 pixels."""


def load(folder: Path, batch_visual_tokens: int | None = None) -> DenseEncoder:
    return DenseEncoder.load(str(folder), device="cpu", batch_visual_tokens=batch_visual_tokens)


def pages(count: int, *, side: int = 56) -> list[Image.Image]:
    shades = np.linspace(0, 255, count).astype(int)
    return [Image.new("RGB", (side, side), (int(shade), 90, 160)) for shade in shades]


class Batches:
    """Lengths of what the model ran."""

    def __init__(self, encoder: PageEncoder) -> None:
        self._backbone = encoder.model_here.backbone
        self._pages, self._queries = self._backbone.pages, self._backbone.queries
        self.of_pages: list[int] = []
        self.of_queries: list[int] = []

    def __enter__(self) -> Self:
        def run_pages(pages: Sequence[PreparedPage]) -> Sequence[np.ndarray]:
            self.of_pages.append(len(pages))
            return self._pages(pages)

        def run_queries(queries: Sequence[PreparedQuery]) -> Sequence[np.ndarray]:
            self.of_queries.append(len(queries))
            return self._queries(queries)

        self._backbone.pages, self._backbone.queries = run_pages, run_queries
        return self

    def __exit__(self, *_: object) -> None:
        del self._backbone.pages, self._backbone.queries


@pytest.mark.parametrize("count", [1, 7, 8, 9, 32, 64, 100])
def test_as_many_equal_pages_as_the_budget_takes_are_one_batch(
    tiny_checkpoint: Path, count: int
) -> None:
    encoder = load(tiny_checkpoint, count * TOKENS)
    with Batches(encoder) as ran:
        together = encoder.encode_pages(pages(count))
    assert ran.of_pages == [count]
    np.testing.assert_allclose(
        together, load(tiny_checkpoint).encode_pages(pages(count)), atol=1e-5
    )


async def test_they_are_one_batch_for_async_callers_too(tiny_checkpoint: Path) -> None:
    encoder = load(tiny_checkpoint, 40 * TOKENS)
    with Batches(encoder) as ran:
        await encoder.aencode_pages(iter(pages(40)))
    assert ran.of_pages == [40]


def test_more_pages_are_as_many_full_batches_as_it_takes(tiny_checkpoint: Path) -> None:
    encoder = load(tiny_checkpoint, 32 * TOKENS)
    with Batches(encoder) as ran:
        encoder.encode_pages(pages(75))
    assert ran.of_pages == [32, 32, 11]


def test_pages_that_fill_a_budget_badly_are_never_more_than_it_takes(
    tiny_checkpoint: Path,
) -> None:
    encoder = load(tiny_checkpoint, 32 * TOKENS + 3)
    with Batches(encoder) as ran:
        encoder.encode_pages(pages(64))
    assert ran.of_pages == [32, 32]


def test_pages_of_two_sizes_are_batched_with_their_like(tiny_checkpoint: Path) -> None:
    encoder = load(tiny_checkpoint, 64 * TOKENS)
    mixed = [page for pair in zip(pages(16), pages(16, side=84), strict=True) for page in pair]
    with Batches(encoder) as ran:
        encoder.encode_pages(mixed)
    assert sorted(ran.of_pages) == [16, 16]


def test_a_batch_of_two_callers_keeps_to_the_smaller_of_their_budgets(
    tiny_checkpoint: Path,
) -> None:
    large, small = load(tiny_checkpoint, 100 * TOKENS), load(tiny_checkpoint, 3 * TOKENS)
    assert large.core is small.core
    with Batches(small) as ran:
        small.encode_pages(pages(9))
        large.encode_pages(pages(9))
    # On a busy machine three pages may come in two pieces.
    *of_small, of_large = ran.of_pages
    assert (sum(of_small), max(of_small), of_large) == (9, 3, 9)


def test_on_a_cpu_a_page_goes_alone_unless_a_budget_is_asked_for(tiny_checkpoint: Path) -> None:
    encoder = load(tiny_checkpoint)
    with Batches(encoder) as ran:
        encoder.encode_pages(pages(20))
    assert ran.of_pages == [1] * 20


def test_many_questions_are_one_batch(tiny_checkpoint: Path) -> None:
    encoder = load(tiny_checkpoint)
    with Batches(encoder) as ran:
        encoder.encode_queries([f"question {n}" for n in range(30)])
    assert ran.of_queries == [30]


def test_both_models_of_a_pair_get_full_batches(tiny_checkpoint: Path, tmp_path: Path) -> None:
    write_base(tmp_path / "colqwen2-base")
    late = MultiVectorEncoder.load(
        str(tmp_path / "colqwen2-base"), device="cpu", batch_visual_tokens=40 * TOKENS
    )
    pair = PairedEncoder(dense=load(tiny_checkpoint, 40 * TOKENS), multi_vector=late)
    with Batches(pair.dense) as dense, Batches(pair.multi_vector) as tokens:
        pair.encode_pages(pages(40))
    assert dense.of_pages == tokens.of_pages == [40]


def test_of_5000_pages_a_generator_gives_a_few_are_in_memory_at_a_time(
    tiny_checkpoint: Path,
) -> None:
    alive = most = 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def patchify(image: Image.Image, **_: int) -> np.ndarray:
        nonlocal alive, most
        patches = np.zeros((4 * TOKENS, 588), np.uint8)
        weakref.finalize(patches, gone)
        alive += 1
        most = max(most, alive)
        return patches

    def endless() -> Iterator[Image.Image]:
        for _ in range(5000):
            yield Image.new("RGB", (56, 56))

    def one_vector(some: Sequence[PreparedPage]) -> list[np.ndarray]:
        return [vector] * len(some)

    encoder = load(tiny_checkpoint, 32 * TOKENS)
    vector = np.ones(encoder.core.facts.dimension, np.float32)
    with (
        mock.patch.object(prepared, "patchify", patchify),
        mock.patch.object(encoder.model_here.backbone, "pages", one_vector),
    ):
        assert len(encoder.encode_pages(endless())) == 5000
    # One window is being prepared while two are with the model.
    assert 32 < most <= 3 * 32 + 1


def test_what_a_page_refuses_stops_reading_at_once(tiny_checkpoint: Path) -> None:
    read = 0

    def some() -> Generator[Image.Image | int]:
        nonlocal read
        for page in (*pages(3), 7, *pages(100)):
            read += 1
            yield page

    with pytest.raises(Exception, match="int"):
        load(tiny_checkpoint, 64 * TOKENS).encode_pages(some())  # pyright: ignore[reportArgumentType]
    assert read == 4
