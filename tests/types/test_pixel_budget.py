from __future__ import annotations

import math
from typing import Any

import pytest
from benchmarks.card_path import smart_resize
from benchmarks.image_processor import (
    smart_resize as transformers_smart_resize,
)
from hypothesis import assume, given
from hypothesis import strategies as st

from vdr_integrations.errors import OptionError, PageGeometryError
from vdr_integrations.types import PixelBudget

SIDES = st.integers(1, 20_000)
TOKENS = st.integers(1, 4000)


def assume_allowed(height: float, width: float) -> None:
    assume(max(height, width) / min(height, width) <= 200)


@given(height=SIDES, width=SIDES, tokens=TOKENS, least=st.integers(1, 64))
def test_fit_is_the_cards_smart_resize_wherever_that_stays_inside_the_budget(
    height: int, width: int, tokens: int, least: int
) -> None:
    assume_allowed(height, width)
    budget = PixelBudget(max_visual_tokens=max(tokens, least), min_visual_tokens=least)
    width_and_height = smart_resize(
        height, width, min_pixels=budget.min_pixels, max_pixels=budget.max_pixels
    )
    expected = width_and_height[::-1]
    assume(min(expected) > 0 and expected[0] * expected[1] <= budget.max_pixels)
    assert budget.fit(height=height, width=width) == expected


@given(height=st.integers(28, 20_000), width=st.integers(28, 20_000), tokens=TOKENS)
def test_fit_is_transformers_smart_resize_wherever_that_stays_inside_the_budget(
    height: int, width: int, tokens: int
) -> None:
    assume_allowed(height, width)
    budget = PixelBudget(max_visual_tokens=tokens)
    expected = transformers_smart_resize(
        height, width, min_pixels=budget.min_pixels, max_pixels=budget.max_pixels
    )
    assume(expected[0] * expected[1] <= budget.max_pixels)
    assert budget.fit(height=height, width=width) == expected


@pytest.mark.parametrize(
    ("height", "width", "fitted"),
    [
        (2200, 1700, (868, 672)),
        (842, 595, (840, 588)),
        (14, 14, (28, 28)),
        (42, 70, (56, 56)),  # 1.5 and 2.5 tokens: round half to even
        (30, 6000, (28, 5992)),
        (28 * 768, 28 * 4, (28 * 384, 28 * 2)),
    ],
)
def test_fit_of_known_sizes(height: int, width: int, fitted: tuple[int, int]) -> None:
    assert PixelBudget().fit(height=height, width=width) == fitted


@given(
    height=st.floats(0.01, 1e9),
    width=st.floats(0.01, 1e9),
    tokens=TOKENS,
    least=st.integers(1, 4000),
    factor=st.sampled_from([14, 28, 32]),
)
def test_every_size_is_whole_tokens_and_never_above_the_budget(
    height: float, width: float, tokens: int, least: int, factor: int
) -> None:
    assume_allowed(height, width)
    budget = PixelBudget(
        max_visual_tokens=max(tokens, least), min_visual_tokens=least, factor=factor
    )
    for size in (
        budget.fit(height=height, width=width),
        budget.fill(height=height, width=width),
    ):
        assert all(side >= factor and side % factor == 0 for side in size)
        assert 1 <= budget.visual_tokens(height=size[0], width=size[1]) <= max(tokens, least)


@given(height=st.floats(1, 20_000), width=st.floats(1, 20_000), tokens=TOKENS)
def test_what_fills_the_budget_is_not_resized_again(
    height: float, width: float, tokens: int
) -> None:
    assume_allowed(height, width)
    budget = PixelBudget(max_visual_tokens=tokens)
    filled_height, filled_width = budget.fill(height=height, width=width)
    assume_allowed(filled_height, filled_width)
    assert budget.fit(height=filled_height, width=filled_width) == (filled_height, filled_width)


@given(height=st.integers(500, 3000), width=st.integers(500, 3000))
def test_a_page_drawn_large_and_then_fitted_has_the_size_of_one_drawn_to_fill(
    height: int, width: int
) -> None:
    budget = PixelBudget(max_visual_tokens=256)
    assert budget.fit(height=height * 8, width=width * 8) == budget.fill(height=height, width=width)


@pytest.mark.parametrize(
    ("height", "width"),
    [
        (0, 10),
        (10, -1),
        (math.nan, 10),
        (10, math.inf),
        (-5, -5),
        (1e200, 1e200),
        (1e-200, 1e-200),
    ],
)
def test_sizes_that_mean_nothing_are_refused(height: float, width: float) -> None:
    for method in (PixelBudget().fit, PixelBudget().fill):
        with pytest.raises(PageGeometryError, match=r"^scan\.png: its size is"):
            method(height=height, width=width, source="scan.png")


def test_a_ratio_of_two_hundred_is_allowed_and_more_is_not() -> None:
    assert PixelBudget().fit(height=10, width=2000) == (28, 1988)
    with pytest.raises(PageGeometryError, match="at most 200 is allowed"):
        PixelBudget().fit(height=10, width=2001)


@pytest.mark.parametrize(
    "options",
    [
        {"max_visual_tokens": 0},
        {"min_visual_tokens": 0},
        {"min_visual_tokens": 9, "max_visual_tokens": 8},
        {"factor": 0},
    ],
)
def test_budgets_that_nothing_could_meet_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="1 <= min_visual_tokens <= max_visual_tokens"):
        PixelBudget(**options)


@pytest.mark.parametrize(("tokens", "side"), [(768, 5000), (10**12, 28), (1, 10**9)])
def test_budgets_at_which_no_page_can_be_drawn_are_refused(tokens: int, side: int) -> None:
    with pytest.raises(OptionError, match=rf"{tokens} visual tokens of {side} px is .* at most"):
        PixelBudget(tokens, factor=side)


@pytest.mark.parametrize("name", ["max_visual_tokens", "min_visual_tokens", "factor"])
@pytest.mark.parametrize("found", ["28", 28.0, True, None])
def test_what_is_no_whole_number_is_refused_by_its_name(name: str, found: Any) -> None:
    with pytest.raises(OptionError, match=f"{name} of a pixel budget must be a whole number"):
        PixelBudget(**{name: found})
