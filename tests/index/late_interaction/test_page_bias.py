"""Scores without what a page gets from any question."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from benchmarks.synthetic_pages import SyntheticPages
from hypothesis import given
from hypothesis import strategies as st
from tests.index.late_interaction.pages import (
    DIMENSION,
    MANIFEST,
    document,
    page_records,
    places,
    unit_rows,
)

from vdr_integrations.errors import IndexFormatError, OptionError
from vdr_integrations.index import (
    Compression,
    DenseIndex,
    LateInteractionIndex,
    Manifest,
    QuestionBank,
    maxsim_score,
    open_index,
)
from vdr_integrations.index.index_settings import FULL_TOKENS, Correction
from vdr_integrations.index.new_index import new_index
from vdr_integrations.index.scoring.candidates import Outlook, sample
from vdr_integrations.index.verify import verify_index

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from tests.index.late_interaction.conftest import Location

    from vdr_integrations.types import Hit

PAGES = 12
BANK = QuestionBank(unit_rows(40, seed=99).astype(np.float16), strength=0.75)
LONG, SHORT = unit_rows(FULL_TOKENS + 5, seed=1), unit_rows(6, seed=2)


def add_pages(index: LateInteractionIndex, *, count: int = PAGES) -> None:
    pages = [unit_rows(7 + 3 * n, seed=100 + n) for n in range(count)]  # long pages match more
    index.add_document(document("a.pdf"), page_records(*range(1, count + 1)), pages)


@pytest.fixture(params=[None, Compression("int8"), Compression(token_pooling=2)])
def corrected(location: Location, request: pytest.FixtureRequest) -> LateInteractionIndex:
    index = LateInteractionIndex.create(
        location, manifest=MANIFEST, compression=request.param, question_bank=BANK
    )
    add_pages(index)
    return index


def expected(
    index: LateInteractionIndex, query: NDArray[np.float32], *, strength: float
) -> dict[int, float]:
    """By the definition, over the stored vectors."""
    found: dict[int, float] = {}
    for page in index.get(index.page_ids(), with_vectors=True):
        assert page.vectors is not None
        bias = maxsim_score(BANK.vectors, page.vectors) / len(BANK.vectors)
        share = min(1.0, len(query) / FULL_TOKENS)
        cost = strength * share * len(query) * bias
        found[page.page_number] = maxsim_score(query, page.vectors) - cost
    return found


def scores(hits: list[Hit]) -> dict[int, float]:
    return {hit.page_number: hit.score for hit in hits}


@pytest.mark.parametrize("query", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("correction", [None, 0.0, 1.0, 0.3])
def test_a_score_is_maxsim_less_what_any_question_gets(
    corrected: LateInteractionIndex, query: NDArray[np.float32], correction: float | None
) -> None:
    hits = corrected.search(query, k=PAGES, correction=correction)
    strength = BANK.strength if correction is None else correction
    wanted = expected(corrected, query, strength=strength)
    assert scores(hits) == pytest.approx(wanted, abs=2e-5)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    reranked = corrected.rerank(query, corrected.page_ids(), correction=correction)
    assert scores(reranked) == scores(hits)
    best = corrected.search(query, k=3, correction=correction)
    assert [(hit.page_number, hit.score) for hit in best] == [
        (hit.page_number, hit.score) for hit in hits[:3]
    ]


def test_the_correction_changes_the_order(corrected: LateInteractionIndex) -> None:
    orders = [
        places(corrected.search(LONG, k=PAGES, correction=strength)) for strength in (0.0, 1.0)
    ]
    assert orders[0] != orders[1]


def test_several_searches_filters_and_candidates_are_corrected_too(
    corrected: LateInteractionIndex,
) -> None:
    whole = scores(corrected.search(LONG, k=PAGES))
    (many,) = corrected.search_many([LONG], k=PAGES)
    assert scores(many) == whole
    odd = corrected.search(LONG, k=PAGES, filter={"page_number": [1, 3]})
    assert scores(odd) == {number: whole[number] for number in (1, 3)}
    few = corrected.search(LONG, k=2, candidates=4)
    assert scores(few).items() <= whole.items()


def test_an_index_keeps_its_bank(location: Location) -> None:
    with LateInteractionIndex.create(location, manifest=MANIFEST, question_bank=BANK) as index:
        assert index.correction == BANK.correction
        add_pages(index, count=2)
        before = [page.bias for page in index.get(index.page_ids())]
    with LateInteractionIndex.open(location) as opened:
        bank = opened.question_bank()
        assert bank is not None
        np.testing.assert_array_equal(bank.vectors, BANK.vectors)
        assert bank.strength == BANK.strength
        add_pages(opened, count=2)
        assert [page.bias for page in opened.get(opened.page_ids())] == before
        assert all(before)


def test_an_index_without_a_bank_has_maxsim_and_says_so(location: Location) -> None:
    with LateInteractionIndex.create(location, manifest=MANIFEST) as index:
        add_pages(index, count=3)
        assert index.correction is None
        assert index.question_bank() is None
        assert scores(index.search(LONG, correction=0.0)) == scores(index.search(LONG))
        with pytest.raises(OptionError, match=r"without a question bank.*index again"):
            index.search(LONG, correction=0.5)
        with pytest.raises(OptionError, match="without a question bank"):
            index.rerank(LONG, index.page_ids(), correction=1.0)


@pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan"), float("inf"), "much", None])
def test_a_strength_that_is_not_allowed_is_refused(tmp_path: Path, strength: Any) -> None:
    if strength is not None:
        with (
            LateInteractionIndex.create(tmp_path, manifest=MANIFEST, question_bank=BANK) as index,
            pytest.raises(OptionError, match=r"correction must be a number from 0 .* to 2"),
        ):
            index.search(LONG, correction=strength)
    with pytest.raises(OptionError, match="correction must be"):
        QuestionBank(BANK.vectors, cast("float", strength))


def test_banks_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="strength 0 changes nothing"):
        QuestionBank(BANK.vectors, 0.0)
    with pytest.raises(OptionError, match="at most 8192 tokens, found 8193"):
        QuestionBank(np.ones((8193, 4), np.float16))
    other = QuestionBank(unit_rows(4, dimension=DIMENSION + 1).astype(np.float16))
    with pytest.raises(OptionError, match="vectors of 17 numbers, and the index of 16"):
        LateInteractionIndex.create(tmp_path / "a", manifest=MANIFEST, question_bank=other)
    with pytest.raises(OptionError, match="question bank is for token vectors"):
        new_index(tmp_path / "b", dense=MANIFEST, question_bank=BANK)
    assert not list(tmp_path.iterdir())


def test_an_altered_bank_is_reported_and_searches_go_on(tmp_path: Path) -> None:
    with LateInteractionIndex.create(tmp_path, manifest=MANIFEST, question_bank=BANK) as index:
        add_pages(index, count=3)
        before = scores(index.search(LONG))
    with sqlite3.connect(tmp_path / "index.sqlite3") as database:
        database.execute("UPDATE question_bank SET vectors = zeroblob(length(vectors))")
    database.close()
    with open_index(tmp_path) as opened:
        assert opened.late is not None
        assert scores(opened.late.search(LONG)) == before
        with pytest.raises(IndexFormatError, match="its question bank was altered"):
            opened.stage_document("b.pdf")
        assert any("question bank was altered" in one for one in verify_index(opened).problems)


def test_an_index_without_documents_takes_another_bank(tmp_path: Path) -> None:
    LateInteractionIndex.create(tmp_path, manifest=MANIFEST, question_bank=BANK).close()
    LateInteractionIndex.create(tmp_path, manifest=MANIFEST).close()
    other = QuestionBank(unit_rows(4, seed=3).astype(np.float16))
    with LateInteractionIndex.create(tmp_path, manifest=MANIFEST, question_bank=other) as index:
        assert index.correction == other.correction
        add_pages(index, count=2)
        assert all(page.bias for page in index.get(index.page_ids()))


def test_dense_indexes_have_no_bias(tmp_path: Path) -> None:
    with DenseIndex.create(tmp_path, manifest=MANIFEST) as index:
        index.add_document(document("a.pdf"), page_records(1, grid=None), unit_rows(1))
        assert [page.bias for page in index.get(index.page_ids())] == [0.0]


@given(st.integers(1, 60), st.floats(0.0, 2.0))
def test_short_questions_are_corrected_in_proportion(tokens: int, strength: float) -> None:
    found = Correction(1.0, tokens=1, digest="").weight(tokens, strength=strength)
    assert found == pytest.approx(strength * tokens * min(1.0, tokens / FULL_TOKENS))


MANY_PAGES = 1000
MANY_DIMENSION = 128
K = 10


@pytest.fixture(scope="module")
def made() -> SyntheticPages:
    return SyntheticPages(rows=6, columns=8, topics=30, dimension=MANY_DIMENSION)


@pytest.fixture(scope="module")
def many(made: SyntheticPages, tmp_path_factory: pytest.TempPathFactory) -> LateInteractionIndex:
    """Too many pages to compare all. Every tenth holds others too, so it matches more questions."""
    bank = QuestionBank(np.concatenate([made.query() for _ in range(20)]).astype(np.float16))
    index = LateInteractionIndex.create(
        tmp_path_factory.mktemp("many"),
        manifest=Manifest("f" * 64, "some/model", None, MANY_DIMENSION, 96),
        question_bank=bank,
    )
    for start in range(0, MANY_PAGES, 100):
        pages = list(made.pages(100))
        for place in range(0, 100, 10):
            pages[place] = np.concatenate(pages[place : place + 4])
        records = page_records(*range(1, 101), grid=None)
        index.add_document(document(f"{start:05}.pdf"), records, pages)
    return index


@pytest.fixture(scope="module")
def queries(made: SyntheticPages, many: LateInteractionIndex) -> list[NDArray[np.float32]]:
    assert many.count_pages() == MANY_PAGES
    return [made.query() for _ in range(8)]


@pytest.mark.parametrize("correction", [None, 0.0])
def test_the_first_stage_finds_what_comparing_all_pages_finds(
    many: LateInteractionIndex, queries: list[NDArray[np.float32]], correction: float | None
) -> None:
    found = 0
    for query in queries:
        every = many.search(query, k=K, exhaustive=True, correction=correction)
        hits = many.search(query, k=K, correction=correction)
        found += len(set(places(hits)) & set(places(every)))
    assert found >= 0.9 * K * len(queries)


def test_few_candidates_are_the_pages_that_the_correction_favours(
    many: LateInteractionIndex, queries: list[NDArray[np.float32]]
) -> None:
    found = moved = 0
    for query in queries:
        every = places(many.search(query, k=K, exhaustive=True))
        found += len(set(every) & set(places(many.search(query, k=K, candidates=150))))
        moved += len(set(every) - set(places(many.search(query, k=K, correction=0.0))))
    assert moved > len(queries)  # else the correction does not matter here
    assert found >= 0.8 * K * len(queries)


def test_costs_move_pages_in_the_first_stage() -> None:
    looks = np.array([3.0, 2.0, 1.0], np.float32)
    costs = np.array([2.0, 0.0, 0.0], np.float32)
    orders = [
        np.argsort(costs - Outlook(slope, 5.0, 1.0).predicted(looks)).tolist()
        for slope in (1.0, 4.0)
    ]
    assert orders == [[1, 0, 2], [0, 1, 2]]
    useless = Outlook(0.0, 0.0, 1.0).predicted(looks)
    assert np.argsort(-useless).tolist() == [0, 1, 2]


@given(st.integers(1, 200), st.integers(1, 70))
def test_a_sample_has_the_best_and_is_spread_over_the_rest(pages: int, count: int) -> None:
    looks = np.random.default_rng(pages).normal(size=pages).astype(np.float32)
    chosen = sample(looks, count=count)
    assert len(set(chosen.tolist())) == len(chosen) <= count
    order = np.argsort(-looks)
    assert set(order[: min(count // 2, pages)].tolist()) <= set(chosen.tolist())
    if count > 3 and pages > count:
        assert order[-1] in chosen


def test_messages_of_an_index_name_it(tmp_path: Path) -> None:
    with (
        LateInteractionIndex.create(tmp_path, manifest=MANIFEST) as index,
        pytest.raises(OptionError, match=re.escape(str(tmp_path))),
    ):
        index.search(LONG, correction=1.0)
