"""Several indexes give the hits, the scores and the order of one index that holds all pages."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient
from tests.index.late_interaction.pages import DENSE_MANIFEST, unit_rows
from tests.index.quarters import search_quarters_in_two_stages
from tests.index.shards.halls import Halls, places, some_books

from vdr_integrations.index import DenseIndex, Hybrid, HybridQuery
from vdr_integrations.index.page_filter import parse_filter
from vdr_integrations.index.page_index import engine_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vdr_integrations.index import LateInteractionIndex, StoredPage
    from vdr_integrations.types import Hit

    Search = Callable[[DenseIndex | LateInteractionIndex], list[Hit]]

EVERY = 1000
FILTERS: list[dict[str, Any] | None] = [
    None,
    {"source": ["001.pdf", "003.pdf"]},
    {"page_number": {"gte": 2}},
    {"metadata": {"odd": True}},
    {"source": "none.pdf"},
]
QUERY, DENSE = unit_rows(6, seed=7), unit_rows(1, seed=7, dimension=DENSE_MANIFEST.dimension)[0]


def check(found: Sequence[Hit], wanted: Sequence[Hit]) -> None:
    """The same pages with the same scores in the same order.

    The means of a hybrid search are added up in another order, which may change a last decimal.
    """
    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in wanted], abs=2e-5)
    if {hit.score_kind for hit in wanted} != {"hybrid"}:
        assert found == wanted
    sure = [one.score - two.score > 1e-4 for one, two in pairwise(wanted)]
    for number, (one, two) in enumerate(zip(found, wanted, strict=True)):
        if all(sure[max(number - 1, 0) : number + 1]):
            assert (one.source, one.page_number) == (two.source, two.page_number)
    order = [(-hit.score, hit.source, hit.page_number) for hit in found]
    assert order == sorted(order)


def shown(pages: Sequence[StoredPage]) -> list[Hit]:
    """All that can be compared of pages; the bias as score, as exact as it is."""
    return [page.hit(round(page.bias, 5)) for page in pages]


def late(**options: Any) -> Search:
    def search(index: Any) -> list[Hit]:
        return index.search(QUERY, **options)

    return search


def by_words(**options: Any) -> Search:
    def search(index: Any) -> list[Hit]:
        return index.search_text("bee the fox bee", **options)

    return search


def searches(k: int) -> list[tuple[str, Search]]:
    """Every kind of search of an index of late interaction."""
    words = HybridQuery("the bee and the fox bee", Hybrid(text_weight=0.8, picture_weight=1.7))
    found: list[tuple[str, Search]] = []
    for chosen in FILTERS:
        asked: dict[str, Any] = {"k": k, "filter": chosen}
        found += [
            (f"default {chosen}", late(**asked)),
            (f"exhaustive {chosen}", late(**asked, exhaustive=True)),
            (f"maxsim {chosen}", late(**asked, correction=0.0)),
            (f"hybrid {chosen}", late(**asked, hybrid=words)),
            (f"recall {chosen}", late(**asked, dense_query=DENSE)),
            (f"few recalled {chosen}", late(**asked, dense_query=DENSE, candidates=k)),
            (f"hybrid recall {chosen}", late(**asked, dense_query=DENSE, hybrid=words)),
            (f"text {chosen}", by_words(**asked)),
        ]
    return found


@pytest.fixture(scope="module", params=["folders", "folders and a server"])
def halls(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Halls]:
    """60 pages in four indexes, one of them empty, with pages that are equal in all."""
    books = some_books(30, 9, 7, 8, 6, seed=1, alike=4)
    client = QdrantClient(":memory:") if "server" in request.param else None
    split = [books[:1], [], books[1:3], books[3:]]
    found = Halls.of(tmp_path_factory.mktemp("halls"), split, kind="late", client=client)
    yield found
    found.close()
    if client is not None:
        client.close()


@pytest.mark.parametrize("k", [1, 7, EVERY])
def test_every_search_finds_what_one_index_finds(halls: Halls, k: int) -> None:
    for name, search in searches(k):
        found, wanted = search(halls.joined), search(halls.one)
        try:
            check(found, wanted)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def test_pages_are_read_and_ranked_as_in_one_index(halls: Halls) -> None:
    joined: Any = halls.joined
    one: Any = halls.one
    assert joined.documents() == one.documents()
    assert joined.document("003.pdf") == one.document("003.pdf")
    assert joined.document("none.pdf") is None
    for chosen in FILTERS:
        assert joined.count_pages(chosen) == one.count_pages(chosen)
        assert shown(joined.pages(chosen)) == shown(one.pages(chosen))
    ids = one.page_ids()[::-2]
    assert shown(joined.get(ids)) == shown(one.get(ids))
    for mine, theirs in zip(
        joined.get(ids, with_vectors=True), one.get(ids, with_vectors=True), strict=True
    ):
        np.testing.assert_array_equal(mine.vectors, theirs.vectors)
        np.testing.assert_array_equal(mine.dense, theirs.dense)
    ref = one.pages()[0].page_ref
    assert len(joined.pages_of_ref(ref)) == 5  # equal pages, one in each book
    assert shown(joined.pages_of_ref(ref)) == shown(one.pages_of_ref(ref))
    check(joined.rerank(QUERY, ids), one.rerank(QUERY, ids))
    check(joined.rerank(QUERY, ids, correction=0), one.rerank(QUERY, ids, correction=0))
    mine = engine_of(joined).text_scores("bee fox", parse_filter(None))
    theirs = engine_of(one).text_scores("bee fox", parse_filter(None))
    wanted = dict(zip(theirs.page_ids, theirs.scores.tolist(), strict=True))
    assert dict(zip(mine.page_ids, mine.scores.tolist(), strict=True)) == wanted
    assert joined.question_bank().correction == one.question_bank().correction


splits = st.lists(st.integers(0, 2), min_size=4, max_size=4)


@settings(max_examples=12, deadline=None)
@given(split=splits, seed=st.integers(0, 50), alike=st.integers(0, 3), k=st.integers(1, 9))
@pytest.mark.parametrize("kind", ["plain", "dense"])
def test_no_split_changes_a_hit(kind: str, split: list[int], seed: int, alike: int, k: int) -> None:
    books = some_books(1, 5, 2, 4, seed=seed, alike=alike)
    shards = [[one for one, to in zip(books, split, strict=True) if to == n] for n in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        halls = Halls.of(Path(folder), shards, kind=kind)
        words = HybridQuery("bee cat")
        query = DENSE if kind == "dense" else QUERY
        for index_filter in FILTERS[:3]:
            for asked in ({}, {"hybrid": words}):
                options: Any = {"k": k, "filter": index_filter, **asked}
                check(halls.joined.search(query, **options), halls.one.search(query, **options))
            options = {"k": k, "filter": index_filter}
            found = halls.joined.search_text("ant the bee", **options)
            check(found, halls.one.search_text("ant the bee", **options))
        halls.close()


@pytest.fixture(scope="module")
def large(tmp_path_factory: Any) -> Iterator[Halls]:
    """700 pages, most of them in one index, that are searched in two stages."""
    with pytest.MonkeyPatch.context() as patch:
        search_quarters_in_two_stages(patch)
        books = some_books(400, 230, 40, seed=3)
        halls = Halls.of(
            tmp_path_factory.mktemp("large"), [books[:1], books[1:2], books[2:]], kind="late"
        )
        yield halls
        halls.close()


@pytest.mark.parametrize("hybrid", [None, HybridQuery("bee eel")])
def test_two_stages_find_in_several_indexes_what_is_best(
    large: Halls, hybrid: HybridQuery | None
) -> None:
    joined: Any = large.joined
    one: Any = large.one
    best = joined.search(QUERY, k=10, exhaustive=True, hybrid=hybrid)
    check(best, one.search(QUERY, k=10, exhaustive=True, hybrid=hybrid))
    found = joined.search(QUERY, k=10, hybrid=hybrid)
    assert len(set(places(found)) & set(places(best))) >= 9
    if hybrid is None:
        exact = dict(zip(places(best), best, strict=True))
        assert all(hit == exact.get((hit.source, hit.page_number), hit) for hit in found)
    asked: Any = {"k": 10, "candidates": 100, "hybrid": hybrid}
    assert len(set(places(joined.search(QUERY, **asked))) & set(places(best))) >= 8


def test_dense_vectors_select_as_many_candidates_as_in_one_index(large: Halls) -> None:
    joined: Any = large.joined
    one: Any = large.one
    for k, candidates in ((1, 1), (5, 9), (5, 60)):
        asked: Any = {"k": k, "candidates": candidates, "dense_query": DENSE}
        check(joined.search(QUERY, **asked), one.search(QUERY, **asked))
