"""Promises of every engine."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pytest
from benchmarks.synthetic_pages import SyntheticPages
from tests.index.late_interaction.pages import (
    DIMENSION,
    GRID,
    MANIFEST,
    Library,
    document,
    page_records,
    places,
    unit_rows,
)
from tests.patience import HANG_S, LoopTurns

from vdr_integrations.errors import (
    IndexMismatchError,
    IndexNotFoundError,
    IndexStoreError,
    InvalidVectorError,
    OptionError,
)
from vdr_integrations.index import FileState, LateInteractionIndex, QdrantServer
from vdr_integrations.index.engine import Engine

if TYPE_CHECKING:
    from tests.index.late_interaction.conftest import Location

    from vdr_integrations import DenseEncoder


def test_search_is_the_order_of_exact_maxsim_over_ragged_pages(library: Library) -> None:
    for seed, source in enumerate(["b.pdf", "a.pdf", "c.pdf"]):
        library.add(source, 12, seed=seed)
    for seed in range(5):
        query = unit_rows(6, seed=500 + seed)
        hits = library.index.search(query, k=10)
        expected = library.expected(query, k=10)
        assert places(hits) == [(source, number) for source, number, _ in expected]
        assert [hit.score for hit in hits] == pytest.approx([s for _, _, s in expected], rel=1e-5)


def test_a_hit_says_all_that_is_known_of_its_page(library: Library) -> None:
    library.add("a.pdf", 2, metadata={"year": 2020, "team": "x"}, page_metadata=[{}, {"team": "y"}])
    best = library.index.search(library.pages["a.pdf", 2], k=1)[0]
    assert best.to_dict() == {
        "source": "a.pdf",
        "page_number": 2,
        "score": pytest.approx(len(library.pages["a.pdf", 2]), rel=1e-3),
        "page_label": "p2",
        "total_pages": 9,
        "page_ref": f"vdr-page:{2:064d}",
        "text": "text 2",
        "page_id": best.page_id,
        "metadata": {"year": 2020, "team": "y"},
        "score_kind": "maxsim",
    }


def test_everything_is_there_after_opening_again(library: Library, location: Location) -> None:
    library.add("a.pdf", metadata={"tags": ["x", None, 1.5, {"deep": True}]})
    query = unit_rows(4, seed=9)
    before = library.index.search(query)
    library.index.close()
    with LateInteractionIndex.open(location) as opened:
        assert opened.manifest == MANIFEST
        assert opened.documents() == [document("a.pdf")]
        assert opened.search(query) == before
        assert before[0].metadata == {"tags": ["x", None, 1.5, {"deep": True}]}


def test_equal_pages_come_in_the_order_of_source_and_page_number(
    index: LateInteractionIndex,
) -> None:
    same = unit_rows(8)
    for source in ("c.pdf", "a.pdf", "b.pdf"):
        index.add_document(document(source), page_records(1, 2, 3), [same] * 3)
    expected = [(s, p) for s in ("a.pdf", "b.pdf", "c.pdf") for p in (1, 2, 3)]
    for k in (1, 4, 9, 100):
        assert places(index.search(same[:3], k=k)) == expected[:k]


def test_adding_a_document_again_replaces_all_its_pages_and_keeps_their_ids(
    library: Library,
) -> None:
    library.add("a.pdf", 5)
    library.add("b.pdf", 1, seed=2)
    ids = library.index.page_ids({"source": "a.pdf"})
    library.add("a.pdf", 2, seed=1)
    index = library.index
    assert index.count_pages() == 3
    assert index.page_ids({"source": "a.pdf"}) == ids[:2]
    assert len(index.get(ids)) == 2
    query = unit_rows(4, seed=9)
    assert places(index.search(query, k=9)) == [p[:2] for p in library.expected(query, k=9)]


def test_an_open_index_sees_a_document_come_and_go(library: Library) -> None:
    query = unit_rows(3)
    assert library.index.search(query) == []
    library.add("a.pdf")
    assert len(library.index.search(query)) == 3
    assert library.index.remove_document("a.pdf")
    assert library.index.search(query) == []
    assert library.index.documents() == []
    assert not library.index.remove_document("a.pdf")


def test_pages_of_a_staged_document_are_found_only_after_its_commit(library: Library) -> None:
    library.add("a.pdf", 2)
    index, query = library.index, unit_rows(3)
    before = index.search(query, k=20)
    staged = index.stage_document("a.pdf")
    for page in page_records(*range(1, 6), grid=None):
        staged.add(page, unit_rows(9, seed=page.page_number))
    assert index.search(query, k=20) == before
    assert index.count_pages() == 2
    staged.commit(document("a.pdf"))
    assert index.count_pages() == len(index.search(query, k=20)) == 5


def test_a_discarded_document_leaves_nothing(library: Library) -> None:
    library.add("a.pdf", 2)
    staged = library.index.stage_document("a.pdf")
    for page in page_records(1, 2, 3):
        staged.add(page, unit_rows(9, seed=page.page_number))
    staged.discard()
    assert library.index.count_pages() == 2
    assert library.index.clean_up() == 0


def test_what_a_writer_left_half_written_is_cleaned_up(
    library: Library, location: Location
) -> None:
    library.add("a.pdf", 2)
    staged = library.index.stage_document("b.pdf")
    for page in page_records(1, 2, 3):
        staged.add(page, np.tile(unit_rows(1, seed=page.page_number), (30_000, 1)))
    library.index.close()
    with LateInteractionIndex.open(location) as opened:
        # A folder writes nothing before the commit.
        assert opened.clean_up() == (3 if isinstance(location, QdrantServer) else 0)
        assert opened.clean_up() == 0
        assert opened.count_pages() == 2
        assert len(opened.search(unit_rows(2), k=9)) == 2


def test_pages_are_removed_by_id_and_a_document_goes_with_its_last_one(library: Library) -> None:
    library.add("a.pdf", 3)
    index = library.index
    ids = index.page_ids()
    assert index.remove_pages([ids[1], "5f0c4d43-0000-4000-8000-000000000000"]) == 1
    assert index.page_ids() == [ids[0], ids[2]]
    assert [hit.page_number for hit in index.search(unit_rows(2), k=9)].count(2) == 0
    assert index.remove_pages([ids[0], ids[2]]) == 2
    assert index.documents() == []


def test_pages_are_removed_by_filter(library: Library) -> None:
    library.add("a.pdf", 4, page_metadata=[{"draft": n % 2 == 0} for n in range(4)])
    assert library.index.remove_where({"metadata": {"draft": True}}) == 2
    assert [page.page_number for page in library.index.get(library.index.page_ids())] == [2, 4]
    with pytest.raises(OptionError, match="none"):
        library.index.remove_where({})


def test_a_page_is_given_with_the_vectors_that_are_scored(library: Library) -> None:
    library.add("a.pdf", 3)
    index, query = library.index, unit_rows(5, seed=3)
    hit = index.search(query, k=1)[0]
    page = index.get([hit.page_id], with_vectors=True)[0]
    stored = library.pages["a.pdf", hit.page_number].astype(np.float16).astype(np.float32)
    assert page.vectors is not None
    assert np.array_equal(page.vectors, stored)
    assert np.array_equal(index.vectors_of(hit.page_id), stored)
    assert (page.grid, page.page_label, page.source) == (GRID, hit.page_label, "a.pdf")
    assert index.get([hit.page_id])[0].vectors is None
    with pytest.raises(OptionError, match="no page"):
        index.vectors_of("5f0c4d43-0000-4000-8000-000000000000")


def test_rerank_scores_the_pages_it_is_given_and_no_others(library: Library) -> None:
    library.add("a.pdf", 6)
    index, query = library.index, unit_rows(5, seed=3)
    every = {hit.page_id: hit for hit in index.search(query, k=6)}
    wanted = [*list(every)[::2], "5f0c4d43-0000-4000-8000-000000000000"]
    assert index.rerank(query, wanted) == [every[page_id] for page_id in wanted[:-1]]
    assert index.rerank(query, []) == []


def test_search_many_gives_what_each_search_gives(library: Library) -> None:
    library.add("a.pdf", 6)
    queries = [unit_rows(3, seed=n) for n in range(3)]
    found = library.index.search_many(queries, k=2)
    assert found == [library.index.search(query, k=2) for query in queries]


def test_two_stages_find_nearly_what_one_stage_finds_with_scores_as_exact(
    index: LateInteractionIndex,
) -> None:
    made = SyntheticPages(rows=8, columns=12, topics=8, dimension=DIMENSION)
    pages = list(made.pages(120))
    records = page_records(*range(1, 121), grid=made.grid)
    index.add_document(document("a.pdf"), records, pages)
    found = 0
    for _ in range(4):
        query = made.query()
        every = index.search(query, k=10, exhaustive=True)
        hits = index.search(query, k=10, candidates=50)
        found += len(set(places(hits)) & set(places(every)))
        exact = {hit.page_number: hit.score for hit in index.search(query, k=120)}
        assert {hit.page_number: hit.score for hit in hits} == {
            hit.page_number: exact[hit.page_number] for hit in hits
        }
        assert [hit.score for hit in hits] == sorted((h.score for h in hits), reverse=True)
    assert found >= 24  # the 16 dimensions of this test hardly distinguish pages


def test_a_filter_narrows_both_stages(library: Library) -> None:
    for seed in range(3):
        library.add(f"{seed}.pdf", 10, seed=seed)
    query = unit_rows(5, seed=77)
    every = library.index.search(query, k=30)
    ways: list[dict[str, Any]] = [{}, {"candidates": 4}, {"exhaustive": True}]
    for options in ways:
        hits = library.index.search(query, k=4, filter={"source": "1.pdf"}, **options)
        assert {hit.source for hit in hits} == {"1.pdf"}
        assert len(hits) == 4
    best = library.index.search(query, k=4, filter={"source": "1.pdf"})
    assert best == [hit for hit in every if hit.source == "1.pdf"][:4]


async def test_event_loops_go_on_while_a_search_runs(library: Library) -> None:
    library.add("a.pdf", 5)
    query = unit_rows(3)
    expected = library.index.search(query, k=2)
    turns = LoopTurns()
    with mock.patch.object(Engine, "search", turns.needed_by(Engine.search)):
        found = await asyncio.gather(*(library.index.asearch(query, k=2) for _ in range(4)))
    assert found == [expected] * 4
    assert turns.during["search"] == 4


def test_threads_may_share_an_index(library: Library) -> None:
    library.add("a.pdf", 20)
    found: dict[int, int] = {}

    def look(number: int) -> None:
        query = library.pages["a.pdf", number]
        found[number] = library.index.search(query, k=1)[0].page_number

    threads = [threading.Thread(target=look, args=(number,)) for number in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
    assert found == {number: number for number in range(1, 21)}


def test_a_file_that_was_only_looked_at_keeps_its_pages(library: Library) -> None:
    library.add("a.pdf")
    seen = FileState("0" * 64, 1, 20, 30)
    library.index.update_file_state("a.pdf", seen)
    assert library.index.document("a.pdf") == replace(document("a.pdf"), file=seen)
    assert library.index.count_pages() == 3


def test_odd_names_and_texts_survive(index: LateInteractionIndex) -> None:
    record = document("/ö/'\"%;--\n.pdf")
    odd = replace(page_records(1)[0], text="a\ud800b\0", page_label="ⅳ")
    index.add_document(record, [odd], [unit_rows(8)])
    assert index.documents() == [record]
    hit = index.search(unit_rows(2), filter={"source": record.source})[0]
    assert (hit.text, hit.page_label) == ("a?b\0", "ⅳ")


ROWS = unit_rows(8)
BAD_VECTORS: list[tuple[Any, type[Exception]]] = [
    (ROWS[0], OptionError),
    (ROWS[:, :4].copy(), OptionError),
    (ROWS.astype(np.float64), OptionError),
    (ROWS.astype(np.float16), OptionError),
    (ROWS[:0], InvalidVectorError),
    (2 * ROWS, InvalidVectorError),
    (np.zeros((8, DIMENSION), np.float32), InvalidVectorError),
    (np.full((8, DIMENSION), np.nan, np.float32), InvalidVectorError),
    (ROWS[:6], OptionError),  # fewer rows than its grid
]


def test_vectors_that_do_not_fit_are_refused_and_leave_nothing(library: Library) -> None:
    library.add("a.pdf", 1)
    index = library.index
    for vectors, error in BAD_VECTORS:
        with pytest.raises(error, match=r"b\.pdf page 2"):
            index.add_document(document("b.pdf"), page_records(1, 2), [ROWS, vectors])
    assert index.documents() == [document("a.pdf")]
    assert index.clean_up() == 0


def test_pages_that_do_not_fit_are_refused(index: LateInteractionIndex) -> None:
    for numbers, count in (((), 0), ((1, 1), 2), ((0,), 1), ((1,), 2)):
        with pytest.raises(OptionError, match=r"a\.pdf"):
            index.add_document(document("a.pdf"), page_records(*numbers), [ROWS] * count)
    with pytest.raises(OptionError, match="JSON"):
        index.add_document(document("a.pdf"), page_records(1), [ROWS], metadata={"when": object()})
    with pytest.raises(OptionError, match="dense"):
        index.add_document(document("a.pdf"), page_records(1), [ROWS], dense=[ROWS[0]])
    with pytest.raises(OptionError, match="UTF-8"):
        index.stage_document("a\ud800.pdf")
    assert index.documents() == []


def test_queries_that_do_not_fit_are_refused(library: Library) -> None:
    library.add("a.pdf", 1)
    index = library.index
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"query": ROWS[0]}, OptionError),
        ({"query": ROWS[:, :4].copy()}, OptionError),
        ({"query": ROWS[:0]}, InvalidVectorError),
        ({"query": 3 * ROWS}, InvalidVectorError),
        ({"query": np.full((2, DIMENSION), np.nan, np.float32)}, InvalidVectorError),
        *(({"query": ROWS, "k": k}, OptionError) for k in (0, -1, 2.5, True, "3", 2**40, None)),
        ({"query": ROWS, "k": 1, "candidates": 2.5}, OptionError),
        ({"query": ROWS, "filter": {"source": "a\ud800"}}, OptionError),
        ({"query": ROWS, "filter": {"metadata": {"team": "\udfff"}}}, OptionError),
        ({"query": ROWS, "filter": {"metadata": {"\udfff": 1}}}, OptionError),
        ({"query": ROWS, "filter": {"page_number": 2**70}}, OptionError),
        ({"query": ROWS, "k": 5, "candidates": 4}, OptionError),
        ({"query": ROWS, "candidates": 9, "exhaustive": True}, OptionError),
        ({"query": ROWS, "dense_query": ROWS[0]}, OptionError),
    ]
    for options, error in wrong:
        with pytest.raises(error):
            index.search(**options)
    assert len(index.search(ROWS, k=np.int64(3))) == 1  # pyright: ignore[reportArgumentType]
    assert index.count_pages({"page_number": np.int32(1)}) == 1


def test_an_index_is_made_once_and_not_found_before(location: Location) -> None:
    with pytest.raises(IndexNotFoundError):
        LateInteractionIndex.open(location)
    with (
        LateInteractionIndex.create(location, manifest=MANIFEST),
        pytest.raises(IndexStoreError, match="already"),
    ):
        LateInteractionIndex.create(location, manifest=MANIFEST)


def test_a_closed_folder_index_says_so(library: Library, location: Location) -> None:
    library.index.close()
    library.index.close()
    if not isinstance(location, QdrantServer):
        with pytest.raises(IndexStoreError, match="closed"):
            library.index.search(ROWS)


def test_an_encoder_of_another_fingerprint_is_refused(
    index: LateInteractionIndex, location: Location, encoder: DenseEncoder
) -> None:
    index.close()
    other: Any = encoder  # any encoder has another fingerprint than the made-up one
    with pytest.raises(IndexMismatchError, match="some/model"):
        LateInteractionIndex.open(location, encoder=other)
    with pytest.raises(IndexMismatchError, match="without dense"):
        LateInteractionIndex.open(location, dense_encoder=encoder)
    LateInteractionIndex.open(location).close()
