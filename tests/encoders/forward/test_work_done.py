"""What a page and a query cost in the full 2B model, counted and not timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from benchmarks.full_size_families import model_config
from benchmarks.work_counter import counted, full_size_backbone, page_of, query_of
from tests.looks import watched_tower

if TYPE_CHECKING:
    from collections.abc import Generator

    from vdr_integrations.encoders.forward.backbone import Backbone

BATCH = 32


@pytest.fixture(scope="module")
def full_size() -> Generator[tuple[Backbone, int]]:
    with full_size_backbone() as backbone:
        yield backbone


LAYERS = 3, 3


@pytest.fixture(scope="module")
def elsewhere() -> Generator[Backbone]:
    """What is sent does not depend on the number of layers, unless each sends something."""
    with full_size_backbone(is_elsewhere=True, layers=LAYERS) as (backbone, _):
        yield backbone


@pytest.fixture(scope="module")
def of_few_layers() -> Generator[Backbone]:
    with full_size_backbone(layers=LAYERS) as (backbone, _):
        yield backbone


def test_a_page_of_768_visual_tokens_takes_7_53_tflop_in_1756_kernels_and_no_wait(
    full_size: tuple[Backbone, int],
) -> None:
    backbone, _ = full_size
    work = counted(lambda: backbone.page_states([page_of(32, 24)]))
    assert work.flops / 1e12 == pytest.approx(7.53, abs=0.01)  # the card's own path: 8.03
    assert work.kernels <= 1756
    assert work.waits == 0


def test_a_batch_of_32_pages_needs_little_memory_beside_the_weights(
    full_size: tuple[Backbone, int],
) -> None:
    backbone, weights = full_size
    work = counted(lambda: backbone.page_states([page_of(32, 24)] * BATCH))
    assert (weights + work.peak_bytes) / 1e9 <= 5.1  # the card's own path: 17.26
    assert work.flops / BATCH / 1e12 == pytest.approx(7.53, abs=0.01)


@pytest.mark.parametrize(
    ("model", "tflop", "gb"),
    [("Qwen2.5-VL-3B", 8.53, 7.93), ("Qwen3-VL-2B", 5.18, 4.74)],
)
def test_a_page_of_a_newer_family_takes_so_much_work_and_memory_and_no_wait(
    model: str, tflop: float, gb: float
) -> None:
    side = model_config(model).sizes.vision.patch_size
    with full_size_backbone(model) as (backbone, weights):
        pages = [page_of(32, 24, patch_size=side)] * 8
        work = counted(lambda: backbone.page_states(pages))
        query = query_of(12)
        asked = counted(lambda: backbone.query_states([query]))
    assert work.flops / 8 / 1e12 == pytest.approx(tflop, abs=0.01)
    assert (weights + work.peak_bytes) / 1e9 <= gb  # transformers: see docs/models.md
    assert (work.waits, asked.waits) == (0, 0)


@pytest.mark.parametrize(
    ("model", "depth"),
    [("Qwen2.5-VL-3B", 32), ("Qwen3-VL-2B", 18)],  # all with full attention, all of deepstack
)
def test_little_more_than_patches_of_a_newer_family_is_sent(model: str, depth: int) -> None:
    side = model_config(model).sizes.vision.patch_size
    with full_size_backbone(model, is_elsewhere=True, layers=(LAYERS[0], depth)) as (backbone, _):
        pages = [page_of(32, 24, patch_size=side)] * 8
        # Tokens and positions, patches of two passes, and the places of deepstack.
        assert counted(lambda: backbone.page_states(pages)).copies <= 1 + 2 + 1


def test_what_all_queries_begin_with_is_computed_once(full_size: tuple[Backbone, int]) -> None:
    backbone, _ = full_size
    query = query_of(12)
    backbone.query_states([query])
    again = counted(lambda: backbone.query_states([query]))
    own = len(query.tokens.after) - len(query_of(0).tokens.after) + 3
    per_token = 27 * 2 * (2 * 1536**2 + 2 * 1536 * 256 + 3 * 1536 * 8960)
    assert again.flops <= 1.1 * own * per_token
    assert again.waits == 0


def test_queries_of_different_lengths_cost_what_each_costs_alone(
    of_few_layers: Backbone,
) -> None:
    backbone = of_few_layers
    queries = [query_of(tokens) for tokens in (3, 12, 40, 60)]
    backbone.query_states(queries[:1])  # what all begin with
    alone = sum(counted(lambda q=q: backbone.query_states([q])).flops for q in queries)
    together = counted(lambda: backbone.query_states(queries))
    assert together.flops <= 1.02 * alone  # padded in every layer: 2.0
    assert together.waits == 0


@pytest.mark.parametrize(
    ("batch", "page", "at_most"),
    [
        (BATCH, (32, 24), 1 + 8),  # one of tokens and positions, one of patches for each pass
        (384, (2, 3), 1 + 1),  # thumbnails are one pass
        (4, (128, 128), 1 + 4),  # pages of 16,384 visual tokens are a pass each
    ],
)
def test_little_more_than_patches_is_sent_to_the_device(
    elsewhere: Backbone, batch: int, page: tuple[int, int], at_most: int
) -> None:
    pages = [page_of(*page)] * batch
    assert counted(lambda: elsewhere.page_states(pages)).copies <= at_most


def test_queries_are_sent_to_the_device_in_one_copy_and_their_lengths_in_another(
    elsewhere: Backbone,
) -> None:
    query = query_of(12)
    elsewhere.query_states([query])  # what all begin with
    assert counted(lambda: elsewhere.query_states([query])).copies == 1
    several = [query, query_of(3), query_of(40)]
    assert counted(lambda: elsewhere.query_states(several)).copies == 2


def test_a_pass_of_the_vision_tower_has_few_patches_whatever_the_pages(
    elsewhere: Backbone,
) -> None:
    for batch, page in ((BATCH, (32, 24)), (384, (2, 3)), (4, (128, 128))):
        pages = [page_of(*page)] * batch
        with watched_tower() as tower:
            elsewhere.page_states(pages)
        patches = [len(call.args[1]) for call in tower.call_args_list]
        assert sum(patches) == batch * pages[0].patch_count
        assert max(patches) <= max(12_288, pages[0].patch_count)


def test_what_takes_the_place_of_a_freed_array_is_counted() -> None:
    def work() -> list[torch.Tensor]:
        kept: list[torch.Tensor] = []
        for _ in range(300):
            given = torch.from_numpy(np.zeros(64, np.float32))
            kept.append(given + 1)
            del given
            kept.append(torch.ones(64))
        return kept

    held: list[torch.Tensor] = []
    counter = counted(lambda: held.extend(work()))
    assert len(held) == 600
    assert counter.live_bytes == 600 * 64 * 4
