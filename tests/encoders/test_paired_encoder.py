"""Two encoders that look at a page once."""

from __future__ import annotations

import asyncio
import pickle
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from tests.looks import watched_tower
from tests.tiny_checkpoint import write_tiny_checkpoint
from tests.tiny_colqwen2 import copy_processor, write_adapter, write_base

from vdr_integrations import DenseEncoder, MultiVectorEncoder, PairedEncoder, open_pdf
from vdr_integrations.encoders.forward.backbone import Backbone
from vdr_integrations.encoders.preprocessing.prepared import KeptVisualTokens
from vdr_integrations.errors import OptionError
from vdr_integrations.types import as_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders.preprocessing.prepared import PreparedPage
    from vdr_integrations.types import PageInput

DEMO = Path(__file__).parents[2] / "demo" / "documents"


def pair(dense: Path | str, late: Path | str, *, late_visual_tokens: int = 768) -> PairedEncoder:
    return PairedEncoder(
        dense=DenseEncoder.load(str(dense), device="cpu"),
        multi_vector=MultiVectorEncoder.load(
            str(late), device="cpu", max_visual_tokens=late_visual_tokens
        ),
    )


def looks(pair: PairedEncoder, pages: Sequence[PageInput]) -> int:
    """How often a vision tower runs while pages are encoded; vectors must be each one's own."""
    alone = pair.dense.encode_pages(pages), pair.multi_vector.encode_pages(pages)
    with watched_tower() as tower:
        both = pair.encode_pages(iter(pages))
    np.testing.assert_array_equal(both.dense, alone[0])
    assert len(both.tokens) == len(pages)
    for tokens, own in zip(both.tokens, alone[1], strict=True):
        np.testing.assert_array_equal(tokens, own)
    return tower.call_count


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("paired")
    write_base(root / "colqwen2-base")
    write_adapter(root / "colqwen2-v1.0", base="../colqwen2-base")
    copy_processor(root / "colqwen2-base", root / "colqwen2-v1.0")
    write_tiny_checkpoint(root / "vdr-2b-multi-v1")
    write_tiny_checkpoint(root / "other" / "vdr-2b-multi-v1", seed=4)
    return root


@pytest.fixture
def images() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    sides = [(84, 112), (112, 84), (84, 112), (56, 84), *[(56, 56)] * 9]
    return [Image.fromarray(rng.integers(0, 256, (*s, 3), np.uint8)) for s in sides]


def test_nano_looks_once_at_a_page_of_a_pdf_for_both_heads() -> None:
    both = pair("nano", "nano-colqwen2")
    assert both.shares_vision
    with open_pdf(DEMO / "library-report.en.pdf") as document:
        assert looks(both, [document[0], document[3]]) == 2


def test_an_adapter_of_the_decoder_shares_the_tower_of_its_base(
    folders: Path, images: list[Image.Image]
) -> None:
    both = pair(folders / "vdr-2b-multi-v1", folders / "colqwen2-v1.0")
    assert both.shares_vision
    assert looks(both, images) == len(images)


def test_models_with_towers_of_their_own_look_each_for_itself(
    folders: Path, images: list[Image.Image]
) -> None:
    both = pair(folders / "other" / "vdr-2b-multi-v1", folders / "colqwen2-v1.0")
    assert not both.shares_vision
    assert looks(both, images) == 2 * len(images)


def test_towers_in_different_formats_are_not_shared(folders: Path) -> None:
    dense = DenseEncoder.load(str(folders / "vdr-2b-multi-v1"), device="cpu", dtype="bfloat16")
    late = pair(folders / "vdr-2b-multi-v1", folders / "colqwen2-v1.0").multi_vector
    assert not PairedEncoder(dense=dense, multi_vector=late).shares_vision


def test_with_pixel_budgets_of_their_own_models_look_each_for_itself(
    folders: Path, images: list[Image.Image]
) -> None:
    both = pair(folders / "vdr-2b-multi-v1", folders / "colqwen2-v1.0", late_visual_tokens=6)
    assert looks(both, images) == 2 * len(images)


def test_a_page_below_the_minimum_of_one_model_alone_is_looked_at_twice(
    folders: Path, images: list[Image.Image]
) -> None:
    both = pair(folders / "vdr-2b-multi-v1", folders / "colqwen2-v1.0")
    assert looks(both, [Image.new("RGB", (28, 28)), *images]) == 2 + len(images)


def test_without_blocking_the_vectors_are_the_same(
    folders: Path, images: list[Image.Image]
) -> None:
    both = pair(folders / "vdr-2b-multi-v1", folders / "colqwen2-v1.0")
    expected = both.encode_pages(images)
    found = asyncio.run(both.aencode_pages(images))
    np.testing.assert_array_equal(found.dense, expected.dense)
    for tokens, own in zip(found.tokens, expected.tokens, strict=True):
        np.testing.assert_array_equal(tokens, own)


def test_no_pages_give_no_vectors(folders: Path) -> None:
    both = pair(folders / "vdr-2b-multi-v1", folders / "colqwen2-v1.0")
    dense, tokens = both.encode_pages([])
    assert dense.shape == (0, both.dense.dimension)
    assert tokens == []


def test_what_is_no_page_is_refused_and_the_pair_goes_on(
    folders: Path, images: list[Image.Image]
) -> None:
    both = pair(folders / "vdr-2b-multi-v1", folders / "colqwen2-v1.0")
    with pytest.raises(OptionError, match="int"):
        both.encode_pages([*images, 7])  # pyright: ignore[reportArgumentType]
    assert len(both.encode_pages(images[:1]).tokens) == 1


def test_a_pair_crosses_processes(folders: Path, images: list[Image.Image]) -> None:
    both = pair(folders / "vdr-2b-multi-v1", folders / "colqwen2-v1.0")
    other = pickle.loads(pickle.dumps(both))  # our own
    np.testing.assert_array_equal(
        other.encode_pages(images[:1]).dense, both.encode_pages(images[:1]).dense
    )


def test_pages_whose_visual_tokens_were_kept_share_a_pass_with_others(
    folders: Path, images: list[Image.Image]
) -> None:
    both = pair(folders / "vdr-2b-multi-v1", folders / "colqwen2-v1.0")
    dense = both.dense.model_here
    sized = [as_page(images[n]).render(both.dense.pixel_budget) for n in (0, 2)]
    kept, other = (dense.prepare_image(one) for one in sized)
    alone = both.dense.model_here.backbone.pages([kept, other])
    kept = replace(kept, kept=KeptVisualTokens())
    both.multi_vector.model_here.backbone.pages([kept])
    with watched_tower() as tower:
        mixed = both.dense.model_here.backbone.pages([kept, other])
    assert [len(call.args[1]) for call in tower.call_args_list] == [other.patch_count]
    np.testing.assert_allclose(np.stack(mixed), np.stack(alone), atol=1e-5)


def test_towers_are_compared_once_for_all_pairs_of_two_models(folders: Path) -> None:
    both = pair(folders / "vdr-2b-multi-v1", folders / "colqwen2-v1.0")
    assert both.shares_vision
    with mock.patch.object(Backbone, "has_tower_of", side_effect=AssertionError):
        assert PairedEncoder(dense=both.dense, multi_vector=both.multi_vector).shares_vision


def test_a_cancelled_call_leaves_the_second_model_alone(
    folders: Path, images: list[Image.Image]
) -> None:
    both = pair(folders / "vdr-2b-multi-v1", folders / "colqwen2-v1.0")
    held, goes_on = threading.Event(), threading.Event()
    late = both.multi_vector.model_here.backbone
    pages = late.pages

    def hold(some: Sequence[PreparedPage]) -> Sequence[NDArray[np.float32]]:
        held.set()
        assert goes_on.wait(60)
        return pages(some)

    async def cancelled() -> None:
        task = asyncio.create_task(both.aencode_pages(images))
        assert await asyncio.to_thread(held.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with (
        mock.patch.object(late, "pages", side_effect=hold),
        mock.patch.object(both.dense.model_here.backbone, "pages") as dense,
    ):
        asyncio.run(cancelled())
        goes_on.set()
        both.multi_vector.encode_queries(["after what was left of it"])
        dense.assert_not_called()
    assert len(both.encode_pages(images).tokens) == len(images)


def test_what_goes_wrong_in_either_model_reaches_the_caller(
    folders: Path, images: list[Image.Image]
) -> None:
    both = pair(folders / "vdr-2b-multi-v1", folders / "colqwen2-v1.0")
    for encoder in (both.dense, both.multi_vector):
        broken = mock.patch.object(
            encoder.model_here.backbone, "pages", side_effect=ValueError("broken")
        )
        with broken, pytest.raises(ValueError, match="broken"):
            both.encode_pages(images)
    assert len(both.encode_pages(images).tokens) == len(images)
