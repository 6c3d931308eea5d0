"""The first stage of a search: centroids, lists of pages, and when the second stage may stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from benchmarks.synthetic_pages import SyntheticPages
from tests.index.late_interaction.pages import unit_rows

from vdr_integrations.index.scoring.candidates import most_candidates, outlook
from vdr_integrations.index.scoring.first_stage import (
    Codebook,
    PostingLists,
    QueryTerms,
    query_terms,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def made() -> SyntheticPages:
    return SyntheticPages(rows=8, columns=12, topics=8, dimension=16)


@pytest.fixture(scope="module")
def codebook(made: SyntheticPages) -> Codebook:
    return Codebook.of(np.concatenate(list(made.pages(60))))


def test_centroids_are_of_length_1_and_sorted_into_cells(codebook: Codebook) -> None:
    assert np.linalg.norm(codebook.centroids, axis=1) == pytest.approx(
        np.ones(len(codebook.centroids)), abs=1e-5
    )
    assert codebook.starts[0] == 0
    assert codebook.starts[-1] == len(codebook.centroids)
    assert (np.diff(codebook.starts) >= 0).all()
    assert len(codebook.starts) == len(codebook.cells) + 1


def test_the_same_tokens_make_the_same_codebook() -> None:
    tokens = unit_rows(3000)
    first, second = Codebook.of(tokens), Codebook.of(tokens)
    assert np.array_equal(first.centroids, second.centroids)
    assert np.array_equal(first.starts, second.starts)


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_a_codebook_of_a_few_tokens_works(count: int) -> None:
    tokens = unit_rows(count)
    codebook = Codebook.of(tokens)
    (codes,) = codebook.assign([tokens])
    assert 1 <= len(codes) <= len(codebook.centroids)
    terms = query_terms(tokens, codebook)
    assert np.isfinite(terms.weights).all()
    assert (terms.weights > 0).all()


def test_tokens_fall_to_centroids_nearly_as_near_as_the_nearest(
    made: SyntheticPages, codebook: Codebook
) -> None:
    pages = list(made.pages(20))
    lost = 0.0
    for page, codes in zip(pages, codebook.assign(pages), strict=True):
        assert codes.tolist() == sorted(set(codes.tolist()))
        similarity = page @ codebook.centroids.T
        lost += float((similarity.max(axis=1) - similarity[:, codes].max(axis=1)).mean())
    assert lost / len(pages) < 0.02
    alone = [codebook.assign([page])[0].tolist() for page in pages]
    assert [codes.tolist() for codes in codebook.assign(pages)] == alone


def slow_scores(terms: QueryTerms, codes: list[NDArray[np.uint16]]) -> NDArray[np.float32]:
    """Scores by their definition: for each token the largest weight among a page's centroids."""
    total = np.zeros(len(codes), np.float32)
    for page, own in enumerate(codes):
        for centroids, weights in zip(terms.centroids, terms.weights, strict=True):
            total[page] += weights[np.isin(centroids, own)].max(initial=0.0)
    return total


def test_scores_of_lists_are_those_of_the_definition(
    made: SyntheticPages, codebook: Codebook
) -> None:
    codes = codebook.assign(list(made.pages(50)))
    terms = query_terms(made.query(), codebook)
    lists = PostingLists.of(list(range(50)), codes, size=50, centroids=len(codebook.centroids))
    assert lists.scores(terms) == pytest.approx(slow_scores(terms, codes), abs=1e-4)


def test_lists_that_are_joined_score_as_those_of_all_pages(
    made: SyntheticPages, codebook: Codebook
) -> None:
    codes = codebook.assign(list(made.pages(40)))
    terms, count = query_terms(made.query(), codebook), len(codebook.centroids)
    whole = PostingLists.of(list(range(40)), codes, size=40, centroids=count)
    first = PostingLists.of(list(range(25)), codes[:25], size=25, centroids=count)
    second = PostingLists.of(list(range(15)), codes[25:], size=15, centroids=count)
    joined = first.with_others(second, offset=25)
    assert np.array_equal(joined.scores(terms), whole.scores(terms))
    assert np.array_equal(joined.pages, whole.pages)


def test_pages_that_are_left_out_of_lists_score_nothing_and_others_as_before(
    made: SyntheticPages, codebook: Codebook
) -> None:
    codes = codebook.assign(list(made.pages(20)))
    terms, count = query_terms(made.query(), codebook), len(codebook.centroids)
    lists = PostingLists.of(list(range(20)), codes, size=20, centroids=count)
    keep = np.arange(20) % 3 > 0
    scores = lists.only(keep).scores(terms)
    assert (scores[~keep] == 0).all()
    assert np.array_equal(scores[keep], lists.scores(terms)[keep])


def test_empty_lists_score_nothing() -> None:
    lists = PostingLists.of([], [], size=0, centroids=7)
    terms = QueryTerms(np.zeros((2, 3), np.int64), np.ones((2, 3), np.float32))
    assert lists.scores(terms).shape == (0,)


def test_a_list_of_many_pages_stands_for_all_of_them() -> None:
    size = 1000
    many, few = np.arange(0, size, 2), np.array([3, 4])
    codes = [
        np.flatnonzero([number in many, number in few]).astype(np.uint16) for number in range(size)
    ]
    lists = PostingLists.of(list(range(size)), codes, size=size, centroids=2)
    up = QueryTerms(np.array([[0, 1]]), np.array([[0.25, 0.5]], np.float32))
    scores = lists.scores(up)
    assert scores[few].tolist() == [0.5, 0.5]
    assert set(np.delete(scores, few).tolist()) == {0.25}
    down = QueryTerms(np.array([[1, 0]]), np.array([[0.25, 0.5]], np.float32))
    assert set(lists.scores(down).tolist()) == {0.5}


def test_what_is_seen_says_what_to_expect_of_other_pages() -> None:
    rough = np.linspace(1, 2, 200, dtype=np.float32)
    noise = np.random.default_rng(0).normal(0, 0.1, 200).astype(np.float32)
    found = outlook(rough, 3 * rough + 5 + noise)
    assert found.slope == pytest.approx(3, abs=0.1)
    assert found.best(1.0, among=2000) == pytest.approx(8 + 3 * 0.1, abs=0.1)
    assert found.best(1.0, among=200_000) == pytest.approx(8 + 3.4 * 0.1, abs=0.1)
    flat = outlook(np.ones(9, np.float32), np.arange(9, dtype=np.float32))
    assert flat.best(1.0, among=2000) > 8  # if all look alike, none is ruled out
    against = outlook(rough, -rough)
    assert against.slope == 0


def test_more_pages_are_compared_of_more_pages() -> None:
    counts = [most_candidates(pages, k=10) for pages in (1_000, 10_000, 100_000, 1_000_000)]
    assert counts[0] == counts[1]
    assert counts[2] / counts[1] == pytest.approx(10**0.66, rel=0.01)
    assert counts[3] / counts[2] == pytest.approx(10**0.66, rel=0.01)
    assert most_candidates(100, k=500) == 15_000
