from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.index.late_interaction.pages import unit_rows

from vdr_integrations.errors import InvalidVectorError, OptionError
from vdr_integrations.index import maxsim_score, maxsim_scores, similarity_grids
from vdr_integrations.types import PatchGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray


def oracle(query: NDArray[np.float32], page: NDArray[Any]) -> float:
    """The definition, in float64 and plain loops."""
    total = 0.0
    for token in query.astype(np.float64):
        total += max(float(token @ other) for other in page.astype(np.float64))
    return total


lengths = st.lists(st.integers(1, 40), min_size=1, max_size=8)


@given(lengths=lengths, tokens=st.integers(1, 9), seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_scores_are_the_definition_for_pages_of_any_lengths(
    lengths: list[int], tokens: int, seed: int
) -> None:
    query = unit_rows(tokens, seed=seed)
    pages = [unit_rows(length, seed=seed + 1 + n) for n, length in enumerate(lengths)]
    expected = [oracle(query, page) for page in pages]
    assert maxsim_scores(query, pages) == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert [maxsim_score(query, page) for page in pages] == pytest.approx(
        expected, rel=1e-5, abs=1e-6
    )


@given(lengths=lengths, seed=st.integers(0, 10_000))
@settings(max_examples=20)
def test_a_page_scores_the_same_alone_and_beside_any_other(lengths: list[int], seed: int) -> None:
    query = unit_rows(4, seed=seed)
    pages = [unit_rows(length, seed=seed + 1 + n) for n, length in enumerate(lengths)]
    together = maxsim_scores(query, pages)
    alone = [maxsim_scores(query, [page])[0] for page in pages]
    assert together.tolist() == alone


def test_a_page_unlike_the_query_scores_below_zero_beside_a_longer_one() -> None:
    query = unit_rows(3)
    opposite = np.repeat(-query[:1], 2, axis=0)
    beside = maxsim_scores(query[:1], [opposite, unit_rows(50, seed=3)])
    assert beside[0] == pytest.approx(-1.0, abs=1e-6)


def test_float16_pages_score_as_what_they_hold() -> None:
    query, page = unit_rows(5), unit_rows(30, seed=1)
    halved = page.astype(np.float16)
    exact = oracle(query, page)
    assert maxsim_scores(query, [halved])[0] == pytest.approx(oracle(query, halved), rel=1e-5)
    assert maxsim_score(query, halved) == pytest.approx(exact, rel=1e-4 * 5)


def test_products_are_exact_to_the_last_bits_of_float32() -> None:
    query = unit_rows(20, dimension=128)
    pages = [unit_rows(200 + n, seed=n, dimension=128) for n in range(20)]
    expected = [oracle(query, page) for page in pages]
    assert maxsim_scores(query, pages) == pytest.approx(expected, rel=1e-6)


def test_no_pages_have_no_scores() -> None:
    scores = maxsim_scores(unit_rows(2), [])
    assert (scores.shape, scores.dtype) == ((0,), np.float32)


def test_read_only_vectors_are_scored_without_a_warning() -> None:
    page = unit_rows(4)
    page.flags.writeable = False
    assert maxsim_scores(page, [page])[0] == pytest.approx(4.0, abs=1e-5)


BAD: list[tuple[Any, type[Exception], str]] = [
    (unit_rows(3)[0], OptionError, r"shape"),
    (unit_rows(3)[:, :4], OptionError, r"\(tokens, 16\).*\(3, 4\)"),
    (unit_rows(3).astype(np.float64), OptionError, "float64"),
    (unit_rows(3).tolist(), OptionError, "found list"),
    (unit_rows(0), InvalidVectorError, "no tokens"),
    (np.full((2, 16), np.nan, np.float32), InvalidVectorError, "NaN"),
    (np.full((2, 16), np.inf, np.float32), InvalidVectorError, "infinity"),
]


@pytest.mark.parametrize(("page", "error", "message"), BAD)
def test_pages_that_are_no_matrices_of_this_dimension_are_refused(
    page: Any, error: type[Exception], message: str
) -> None:
    query = unit_rows(2)
    for score in (
        lambda: maxsim_score(query, page),
        lambda: maxsim_scores(query, [query, page]),
        lambda: similarity_grids(query, page, PatchGrid(0, 1, 1)),
    ):
        with pytest.raises(error, match=message):
            score()


@given(
    bad=st.sampled_from([np.nan, np.inf, -np.inf]),
    row=st.integers(0, 6),
    component=st.integers(0, 15),
    tokens=st.integers(1, 3),
)
def test_one_number_that_is_not_finite_is_found_wherever_it_is(
    bad: float, row: int, component: int, tokens: int
) -> None:
    query = np.abs(unit_rows(tokens))  # all above 0: -inf is never the best of a row
    query[0, 0] = 0.0
    page = unit_rows(7)
    page[row, component] = bad
    with pytest.raises(InvalidVectorError, match=r"page 1 of 3 holds NaN or infinity"):
        maxsim_scores(query, [unit_rows(3), page, page])


def test_a_query_without_tokens_is_refused() -> None:
    with pytest.raises(InvalidVectorError, match="the query"):
        maxsim_scores(unit_rows(0), [unit_rows(2)])


def test_grids_hold_each_querys_similarity_to_each_place() -> None:
    query, page, grid = unit_rows(3), unit_rows(12, seed=1), PatchGrid(first=2, rows=2, columns=4)
    grids = similarity_grids(query, page, grid)
    assert (grids.shape, grids.dtype) == ((3, 2, 4), np.float32)
    assert grids[1, 1, 2] == pytest.approx(float(query[1] @ page[2 + 4 + 2]), abs=1e-6)


def test_a_grid_of_another_page_is_refused() -> None:
    with pytest.raises(OptionError, match=r"needs 14 rows.* has 12"):
        similarity_grids(unit_rows(3), unit_rows(12), PatchGrid(first=2, rows=3, columns=4))
