"""Many callers, one model."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from tests.patience import LoopTurns

from vdr_integrations import DenseEncoder

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

CALLERS = 64


@pytest.fixture(scope="module")
def encoder(tiny_checkpoint: Path) -> DenseEncoder:
    return DenseEncoder.load(str(tiny_checkpoint), device="cpu", max_visual_tokens=64)


def page(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 30, 3), np.uint8)
    return Image.fromarray(pixels).resize((595, 842))


@contextmanager
def needing_the_loop(encoder: DenseEncoder) -> Generator[LoopTurns]:
    """Each step of an encoding waits until the event loop has turned."""
    turns, core = LoopTurns(), encoder.model_here
    steps = [(core, "prepare_image"), (core, "prepare_query")]
    steps += [(core.backbone, "pages"), (core.backbone, "queries")]
    with ExitStack() as patches:
        for owner, name in steps:
            held_up = turns.needed_by(getattr(owner, name))
            patches.enter_context(mock.patch.object(owner, name, held_up))
        yield turns


async def test_64_async_callers_get_the_serial_results_and_the_event_loop_stays_free(
    encoder: DenseEncoder,
) -> None:
    pages = [page(seed) for seed in range(CALLERS // 2)]
    queries = [f"{'word ' * (n % 7)}number {n}" for n in range(CALLERS // 2)]
    serial = [encoder.encode_pages([one]) for one in pages]
    serial += [encoder.encode_queries([one]) for one in queries]
    calls = [encoder.aencode_pages([one]) for one in pages]
    calls += [encoder.aencode_queries([one]) for one in queries]
    with needing_the_loop(encoder) as turns:
        results = await asyncio.gather(*calls)
    for found, expected in zip(results, serial, strict=True):
        assert np.abs(found - expected).max() < 1e-5
    assert turns.during["prepare_image"] == turns.during["prepare_query"] == CALLERS // 2
    assert turns.during["pages"] == CALLERS // 2  # a CPU takes one at a time
    assert turns.during["queries"] >= 1


async def test_a_cancelled_call_leaves_the_others_and_the_encoder_alone(
    encoder: DenseEncoder,
) -> None:
    tasks = [asyncio.create_task(encoder.aencode_pages([page(n)])) for n in range(12)]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for n, result in enumerate(results):
        if n % 3 == 0:
            assert isinstance(result, asyncio.CancelledError)
        else:
            assert isinstance(result, np.ndarray)
            assert np.array_equal(result, encoder.encode_pages([page(n)]))


async def test_two_event_loops_and_threads_share_one_encoder(encoder: DenseEncoder) -> None:
    expected = encoder.encode_queries(["shared"])

    def other_loop() -> np.ndarray:
        return asyncio.run(encoder.aencode_queries(["shared"]))

    with ThreadPoolExecutor(4) as pool:
        jobs = [asyncio.wrap_future(pool.submit(other_loop)) for _ in range(8)]
        results = [*await asyncio.gather(*jobs), await encoder.aencode_queries(["shared"])]
    assert all(np.abs(found - expected).max() < 1e-5 for found in results)
