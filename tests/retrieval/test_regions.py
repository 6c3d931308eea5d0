"""Which places on a page explain its score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from vdr_integrations.errors import InvalidVectorError, OptionError
from vdr_integrations.retrieval import Region, strongest_regions
from vdr_integrations.retrieval.regions import relevance

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS, COLUMNS = 10, 8


def noise(tokens: int, *, level: float = 0.2, seed: int = 0) -> NDArray[np.float32]:
    """Tokens that match nothing: about equally similar to every cell."""
    rng = np.random.default_rng(seed)
    return (level + 0.01 * rng.normal(size=(tokens, ROWS, COLUMNS))).astype(np.float32)


def test_the_strongest_region_is_the_box_of_the_cells_that_match() -> None:
    grids = noise(3)
    grids[1, 4, 2:5] = 0.8
    (region,) = strongest_regions(grids)
    assert region[:4] == (2 / COLUMNS, 4 / ROWS, 5 / COLUMNS, 5 / ROWS)
    assert region.score == relevance(grids).max()
    assert region.match == pytest.approx((0.8 - 0.2) / (1 - 0.2), abs=0.01)


def test_regions_come_strongest_first_and_lie_apart() -> None:
    grids = noise(2)
    grids[0, 1, 1], grids[1, 7, 6], grids[0, 7, 1] = 0.9, 0.7, 0.5
    regions = strongest_regions(grids, count=3)
    assert [(round(r.left * COLUMNS), round(r.top * ROWS)) for r in regions] == [
        (1, 1),
        (6, 7),
        (1, 7),
    ]
    scores = [region.score for region in regions]
    assert scores == sorted(scores, reverse=True)


def test_a_prompt_token_that_is_similar_to_the_whole_page_outweighs_no_word() -> None:
    grids = noise(12, level=0.9)
    grids[3] = noise(1, level=0.1, seed=1)[0]
    grids[3, 6, 5] = 0.4
    (region,) = strongest_regions(grids)
    assert (region.left, region.top) == (5 / COLUMNS, 6 / ROWS)


def test_the_pieces_of_a_word_in_cells_beside_each_other_are_stronger_together() -> None:
    grids = noise(2)
    grids[0, 2, 2] = grids[1, 2, 3] = 0.6
    grids[0, 8, 6] = 0.65
    (region,) = strongest_regions(grids, tokens=[(0, 1)])
    assert region[:4] == (2 / COLUMNS, 2 / ROWS, 4 / COLUMNS, 3 / ROWS)
    assert relevance(grids, tokens=[(0, 1)])[8, 5] < 0.1, (
        "a blank cell gets nothing from its neighbour"
    )


def test_a_word_that_one_place_answers_well_outweighs_many_that_another_answers_a_little() -> None:
    grids = noise(4)
    grids[0, 1, 1] = 0.7
    grids[:, 8, 6] = 0.45
    (region,) = strongest_regions(grids)
    assert (region.left, region.top) == (1 / COLUMNS, 1 / ROWS)


def test_only_the_tokens_asked_for_count() -> None:
    grids = noise(2)
    grids[0, 1, 1], grids[1, 8, 6] = 0.9, 0.5
    (region,) = strongest_regions(grids, tokens=[1])
    assert (region.left, region.top) == (6 / COLUMNS, 8 / ROWS)


def test_tokens_may_be_numbers_of_numpy() -> None:
    grids = noise(3)
    grids[1, 4, 2:5] = 0.8
    chosen = relevance(grids, tokens=[1])
    for number in (np.int64(1), np.array([1])):
        untyped: list[Any] = [number]
        np.testing.assert_array_equal(relevance(grids, tokens=untyped), chosen)


def test_a_page_that_is_the_same_everywhere_has_no_region() -> None:
    assert strongest_regions(np.full((3, ROWS, COLUMNS), 0.5, np.float32), count=4) == []
    assert strongest_regions(np.full((3, 1, 1), 0.5, np.float32)) == []


def test_every_box_is_of_whole_cells_on_the_page() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        grids = rng.normal(size=(4, ROWS, COLUMNS)).astype(np.float32)
        regions = strongest_regions(grids, count=5)
        assert regions
        for region in regions:
            assert isinstance(region, Region)
            assert 0 <= region.left < region.right <= 1
            assert 0 <= region.top < region.bottom <= 1
            assert region.score > 0
            assert 0 <= region.match <= 1
            for side, cells in ((region.left, COLUMNS), (region.bottom, ROWS)):
                assert side * cells == pytest.approx(round(side * cells))


def test_what_is_no_grid_is_refused() -> None:
    grids = noise(2)
    for wrong in (grids[0], grids[:0], grids.tolist()):
        with pytest.raises(OptionError, match="query tokens, rows, columns"):
            relevance(wrong)  # pyright: ignore[reportArgumentType]
    for tokens in ([], [2], [-1], [()], [(0, 2)]):
        with pytest.raises(OptionError, match="from 0 to 1"):
            strongest_regions(grids, tokens=tokens)
    with pytest.raises(OptionError, match="at least 1, found 0"):
        strongest_regions(grids, count=0)
    grids[0, 0, 0] = np.nan
    with pytest.raises(InvalidVectorError, match="NaN"):
        strongest_regions(grids)
