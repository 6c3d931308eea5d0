"""Measures of a ranking: those of trec_eval, and expected values where scores are equal."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdr_integrations.evaluation.judged_ranking import Ranking
from vdr_integrations.evaluation.measures import MEASURES, first_relevant_rank, measures_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

TREC_NAMES = {
    "ndcg@5": "ndcg_cut_5",
    "ndcg@10": "ndcg_cut_10",
    "recall@1": "recall_1",
    "recall@5": "recall_5",
    "recall@10": "recall_10",
    "hit@1": "success_1",
    "mrr": "recip_rank",
}


def measured(
    scores: list[float], grades: list[int], *, not_found: tuple[int, ...] = ()
) -> list[float]:
    order = np.argsort(-np.array(scores), kind="stable")
    ranked = np.array(grades)[order]
    relevant = np.array([*ranked[ranked > 0], *not_found])
    return measures_of(np.array(scores)[order], ranked, relevant=relevant).tolist()


def test_random_rankings_measure_as_with_trec_eval() -> None:
    trec = pytest.importorskip("pytrec_eval")
    random = np.random.default_rng(3)
    for _ in range(300):
        pages = int(random.integers(1, 30))
        grades = np.where(random.random(pages) < 0.3, random.integers(1, 4, pages), 0)
        not_found = tuple(random.integers(1, 4, random.integers(0, 3)).tolist())
        if not grades.any() and not not_found:
            continue
        scores = random.permutation(pages).astype(float)
        judged = {str(number): int(grade) for number, grade in enumerate(grades)}
        judged |= {f"lost {number}": grade for number, grade in enumerate(not_found)}
        evaluator = trec.RelevanceEvaluator(
            {"q": judged}, {"ndcg_cut.5,10", "recall.1,5,10", "success.1", "recip_rank"}
        )
        run = {str(number): float(score) for number, score in enumerate(scores)}
        expected = evaluator.evaluate({"q": run})["q"]
        found = measured(scores.tolist(), grades.tolist(), not_found=not_found)
        for name, value in zip(MEASURES, found, strict=True):
            assert value == pytest.approx(expected[TREC_NAMES[name]], abs=1e-9), name


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=6).filter(
        lambda pages: any(grade for _, grade in pages)
    )
)
def test_equal_scores_measure_as_the_mean_of_all_their_orders(
    pages: list[tuple[int, int]],
) -> None:
    grades = [grade for _, grade in pages]
    orders = [
        order
        for order in permutations(range(len(pages)))
        if all(pages[a][0] >= pages[b][0] for a, b in pairwise(order))
    ]
    each: list[NDArray[np.float64]] = []
    first: list[int] = []
    for order in orders:
        ranked = np.array([grades[at] for at in order])
        falling = np.arange(len(order), 0, -1, dtype=np.float32)
        each.append(measures_of(falling, ranked, relevant=ranked[ranked > 0]))
        first.append(int(np.flatnonzero(ranked)[0]) + 1)
    scores = [float(score) for score, _ in pages]
    assert measured(scores, grades) == pytest.approx(np.mean(each, axis=0).tolist())
    order = np.argsort(-np.array(scores), kind="stable")
    rank = first_relevant_rank(np.array(scores)[order], np.array(grades)[order])
    assert rank == pytest.approx(np.mean(first))


def test_the_ideal_of_ndcg_at_5_holds_at_most_5_pages() -> None:
    found = dict(zip(MEASURES, measured([9, 8, 7, 6, 5, 4, 3], [1] * 7), strict=True))
    assert found["ndcg@5"] == 1
    assert found["recall@5"] == pytest.approx(5 / 7)


@pytest.mark.parametrize("right", [0, 3, 9])
def test_a_document_without_any_match_gives_what_chance_gives(right: int) -> None:
    pages = [("scan.pdf", number) for number in range(1, 11)]
    ranking = Ranking(pages, np.zeros(10, np.float32))
    judged = ranking.judged({pages[right]: 1})
    found = dict(zip(MEASURES, judged.measures, strict=True))
    assert found["hit@1"] == pytest.approx(0.1)
    assert found["recall@5"] == pytest.approx(0.5)
    assert found["mrr"] == pytest.approx(np.mean(1 / np.arange(1, 11)))
    assert judged.rank == 5.5


def test_a_right_page_that_is_not_ranked_counts_as_not_found() -> None:
    ranking = Ranking([("a.pdf", 1)], np.array([2.0], np.float32))
    judged = ranking.judged({("b.pdf", 1): 1})
    assert judged.measures.tolist() == [0.0] * len(MEASURES)
    assert (judged.rank, judged.best, judged.top) == (None, None, (("a.pdf", 1), 2.0))
    empty = Ranking([], np.zeros(0, np.float32)).judged({("b.pdf", 1): 1})
    assert empty.measures.tolist() == [0.0] * len(MEASURES)
    assert empty.top is None


def test_a_ranking_among_fewer_pages_keeps_its_order() -> None:
    ranking = Ranking([("a", 3), ("a", 1), ("a", 2)], np.array([3, 2, 1], np.float32))
    fewer = ranking.among({("a", 2), ("a", 3)})
    assert (list(fewer.pages), fewer.scores.tolist()) == ([("a", 3), ("a", 2)], [3, 1])
