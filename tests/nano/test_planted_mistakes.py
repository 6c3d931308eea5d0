"""The recorded scores hold, and every kind of mistake that is easily made breaks them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tests.nano.recorded import check, loaded, scores

from vdr_integrations.encoders import KNOWN_CHECKPOINTS
from vdr_integrations.encoders.forward import backbone
from vdr_integrations.encoders.forward.decoder import Decoder
from vdr_integrations.encoders.forward.patch_embedding import BytePatchEmbedding
from vdr_integrations.encoders.preprocessing.patches import patch_positions, rope_positions
from vdr_integrations.errors import InvalidVectorError
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    Plant = Callable[[pytest.MonkeyPatch], None]

MODELS = ("nano", "nano-colqwen2")


@pytest.mark.parametrize("model", MODELS)
def test_questions_find_their_pages_with_the_recorded_scores(model: str) -> None:
    check(loaded(model), model=model)


@pytest.mark.parametrize("model", MODELS)
def test_in_bfloat16_scores_are_nearly_the_same(model: str) -> None:
    exact, rounded = (scores(loaded(model, dtype=dtype)) for dtype in ("float32", "bfloat16"))
    assert rounded[0].argmax(axis=1).tolist() == exact[0].argmax(axis=1).tolist()
    assert 1e-5 < np.abs(rounded - exact).max() < 0.01


@pytest.mark.parametrize(
    ("model", "prompt", "right", "wrong"),
    [
        ("nano", "page_prompt", "What is shown in this image?", ""),
        ("nano", "page_prompt", "<|endoftext|>", ""),
        ("nano", "query_prompt", "Query: ", ""),
        ("nano", "query_prompt", "{query}", "{query}?!"),
        ("nano-colqwen2", "page_prompt", "<|im_start|>", "<|im_start|>user\n"),
        ("nano-colqwen2", "page_prompt", "<|endoftext|>", ""),
        ("nano-colqwen2", "query_prompt", "<|im_start|> ", "<|im_start|>"),
        ("nano-colqwen2", "query_prompt", "{query}", "Query: {query}"),
    ],
)
def test_a_mistake_in_a_prompt_moves_scores(
    model: str, prompt: str, right: str, wrong: str
) -> None:
    known = KNOWN_CHECKPOINTS[model]
    text = getattr(known, prompt)
    assert right in text
    changed = replace(known, **{prompt: text.replace(right, wrong)})
    encoder = loaded(model, checkpoint=changed)
    with pytest.raises((AssertionError, InvalidVectorError)):
        check(encoder, model=model)


def another_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    resize = Image.Image.resize

    def bilinear(self: Image.Image, size: tuple[int, int], _: object) -> Image.Image:
        return resize(self, size, Image.Resampling.BILINEAR)

    monkeypatch.setattr(Image.Image, "resize", bilinear)


def a_cell_too_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = PixelBudget.fit

    def narrow(
        self: PixelBudget, *, height: float, width: float, source: str = ""
    ) -> tuple[int, int]:
        fitted = fit(self, height=height, width=width, source=source)
        return fitted[0], fitted[1] - self.factor

    monkeypatch.setattr(PixelBudget, "fit", narrow)


def patches_numbered_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_line(grid: tuple[int, int], **_: int) -> np.ndarray[Any, Any]:
        return np.stack([p.ravel() for p in np.mgrid[0 : grid[0], 0 : grid[1]]], axis=1)

    monkeypatch.setattr(backbone, "patch_positions", by_line)


def rows_taken_for_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(grid: tuple[int, int], **options: int) -> np.ndarray[Any, Any]:
        return patch_positions(grid, **options)[:, ::-1].copy()

    monkeypatch.setattr(backbone, "patch_positions", swapped)


def blue_taken_for_red(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = BytePatchEmbedding.forward

    def swapped(self: BytePatchEmbedding, patches: torch.Tensor) -> torch.Tensor:
        return forward(self, patches.view(len(patches), -1, 3).flip(2).reshape(patches.shape))

    monkeypatch.setattr(BytePatchEmbedding, "forward", swapped)


def the_mean_of_the_states(monkeypatch: pytest.MonkeyPatch) -> None:
    states = Decoder.__call__

    def mean(self: Decoder, *args: Any, last_only: bool, **options: Any) -> torch.Tensor:
        every = states(self, *args, last_only=False, **options)
        mean = every.mean(1, keepdim=True)
        return mean if last_only else mean.expand_as(every)

    monkeypatch.setattr(Decoder, "__call__", mean)


def cells_counted_like_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_a_row(**options: Any) -> np.ndarray[Any, Any]:
        count = rope_positions(**options).shape[1]
        return np.broadcast_to(np.arange(count), (3, count))

    monkeypatch.setattr(backbone, "rope_positions", in_a_row)


def rows_and_columns_of_cells_changed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(**options: Any) -> np.ndarray[Any, Any]:
        return rope_positions(**options)[[0, 2, 1]]

    monkeypatch.setattr(backbone, "rope_positions", swapped)


MISTAKES: list[Plant] = [
    another_filter,
    a_cell_too_narrow,
    patches_numbered_line_by_line,
    rows_taken_for_columns,
    blue_taken_for_red,
    the_mean_of_the_states,
    cells_counted_like_text,
    rows_and_columns_of_cells_changed_over,
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("plant", MISTAKES, ids=lambda plant: plant.__name__)
def test_a_mistake_in_resizing_positions_or_pooling_moves_scores(
    monkeypatch: pytest.MonkeyPatch, plant: Plant, model: str
) -> None:
    encoder = loaded(model)
    plant(monkeypatch)
    with pytest.raises((AssertionError, InvalidVectorError)):
        check(encoder, model=model)
