"""The codebook and its lists: they make searches fast and never hide a page."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pytest
from benchmarks.synthetic_pages import SyntheticPages
from qdrant_client import models
from tests.index.server.faulty_client import Fault, status
from tests.index.server.shelf import (
    DENSE_ONLY,
    EVERYWHERE,
    MANIFEST,
    SETTINGS,
    Shelf,
    document,
    places,
    some_pages,
    unit_rows,
)

from vdr_integrations.index.page_filter import Where, parse_filter
from vdr_integrations.index.scoring.codebook_bytes import codebook_bytes, codebook_of_bytes
from vdr_integrations.index.scoring.first_stage import Codebook
from vdr_integrations.index.server import codebook_points, search
from vdr_integrations.index.server.engine import ServerEngine
from vdr_integrations.index.server.server_filter import PAGES, server_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qdrant_client import QdrantClient
    from tests.index.server.faulty_client import FaultyClient

    from vdr_integrations.index.server.codebook_points import NamedCodebook
    from vdr_integrations.index.server.qdrant_server import QdrantServer

QUERY = unit_rows(4, seed=9)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codebook_points, "FIRST_PAGES", 30)


def codebook(shelf: Shelf) -> NamedCodebook:
    found = shelf.engine.writes.first_stage.current()
    assert found is not None
    return found


def without_first_stage(shelf: Shelf) -> None:
    """A writer that does not know the codebook."""
    stage: Any = shelf.engine.writes.first_stage
    stage.list_new = list
    stage.bring_up = mock.Mock()


def unlisted(shelf: Shelf, client: QdrantClient) -> int:
    return client.count("pages", codebook(shelf).unlisted_filter(Where())).count


def test_the_codebook_comes_with_the_pages_that_it_needs(
    shelf: Shelf, client: QdrantClient
) -> None:
    shelf.add("a.pdf", 20)
    assert shelf.engine.writes.first_stage.current() is None
    shelf.add("b.pdf", 20, seed=1)
    assert unlisted(shelf, client) == 0
    shelf.add("c.pdf", 20, seed=2)
    assert unlisted(shelf, client) == 0
    for source in ("a.pdf", "b.pdf", "c.pdf"):
        assert shelf.engine.check_document(source) == (20, [])


def test_the_first_stage_finds_nearly_what_comparing_all_finds(
    server: QdrantServer, faulty: FaultyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codebook_points, "FIRST_PAGES", 240)
    settings = replace(SETTINGS, tokens=replace(MANIFEST, dimension=64))
    shelf = Shelf(ServerEngine.create(server, settings))
    made = SyntheticPages(rows=8, columns=8, topics=8, dimension=64)
    pages = list(made.pages(240))
    for start in range(0, 240, 60):
        shelf.staged(f"{start}.pdf", pages[start : start + 60]).commit(document(f"{start}.pdf"))
    found = 0
    for _ in range(5):
        query = made.query()
        every = shelf.search(query, 240, exhaustive=True)
        faulty.calls.clear()
        asked: list[Any] = []
        faulty.on_call = lambda method, options, asked=asked: (
            asked.append(options["prefetch"]) if method == "query_points" else None
        )
        hits = shelf.search(query, 10, candidates=60)
        faulty.on_call = None
        assert asked[0][0].limit == 60
        found += len(set(places(hits)) & set(places(every[:10])))
        score = {(hit.source, hit.page_number): hit.score for hit in every}
        assert [hit.score for hit in hits] == [score[place] for place in places(hits)]
        assert [hit.score for hit in hits] == sorted((h.score for h in hits), reverse=True)
        narrow = shelf.search(query, 10, candidates=15, filter={"source": "60.pdf"})
        assert [hit.source for hit in narrow] == ["60.pdf"] * 10
    assert found >= 42  # of 50


def test_few_pages_are_all_compared(shelf: Shelf, faulty: FaultyClient) -> None:
    shelf.add("a.pdf", 40)
    assert places(shelf.search(QUERY, 40)) == shelf.expected(QUERY, k=40)
    asked: list[Any] = []
    faulty.on_call = lambda method, options: (
        asked.append(options["prefetch"]) if method == "query_points" else None
    )
    shelf.search(QUERY, 5)
    shelf.search(QUERY, 5, candidates=20)
    shelf.search(QUERY, 5, candidates=10, filter={"page_number": {"lt": 5}})
    assert asked == [None] * 3


def test_more_pages_than_share_a_centroid_are_found_when_asked_for(shelf: Shelf) -> None:
    shelf.add("a.pdf", 40)
    assert len(shelf.search(QUERY, 19, candidates=19)) == 19
    assert len(shelf.search(QUERY[:1], 19, candidates=19)) == 19


def test_pages_written_without_the_codebook_are_found(
    shelf: Shelf, server: QdrantServer, client: QdrantClient
) -> None:
    early = Shelf(ServerEngine.open(server))
    staged = early.sent("early.pdf", some_pages(6, seed=7))  # there is no codebook yet
    early.sent("late.pdf", some_pages(6, seed=8))
    shelf.add("a.pdf", 40)
    client.set_payload(
        "pages", {"listed": ""}, server_filter(PAGES & Where.equal(source="early.pdf"))
    )
    early_pages = some_pages(6, seed=7)
    without_first_stage(early)
    staged.commit(document("early.pdf"))
    for number, rows in enumerate(early_pages, start=1):
        hits = shelf.search(rows, 1, candidates=1)
        assert places(hits) == [("early.pdf", number)]
    assert unlisted(shelf, client) == 6
    # The next commit lists them.
    Shelf(ServerEngine.open(server)).add("b.pdf", 1)
    assert unlisted(shelf, client) == 0
    assert shelf.engine.check_document("early.pdf") == (6, [])


def test_a_document_replaced_by_unlisted_pages_in_the_midst_of_a_search_is_found(
    shelf: Shelf, server: QdrantServer, faulty: FaultyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "UNLISTED_AT_LEAST", 1)
    shelf.add("a.pdf", 40)
    shelf.add("b.pdf", 4, seed=3)
    writer = Shelf(ServerEngine.open(server))
    without_first_stage(writer)
    left = [1]

    def replaced(method: str, _: dict[str, Any]) -> None:
        if method == "query_points" and left[0]:
            left[0] = 0
            writer.add("b.pdf", 4, seed=3)

    faulty.on_call = replaced
    target = some_pages(4, seed=3)[2]
    assert places(shelf.search(target, 1, candidates=1)) == [("b.pdf", 3)]
    assert left == [0]


def test_two_codebooks_made_at_once_hide_no_page(
    shelf: Shelf, server: QdrantServer, client: QdrantClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.add("a.pdf", 40)
    first = codebook(shelf).name
    other = Shelf(ServerEngine.open(server))
    assert codebook(other).name == first
    monkeypatch.setattr(Codebook, "of", partial(Codebook.of, seed=5))
    other.engine.writes.first_stage.make_codebook()  # the previous one still lists the pages
    assert codebook(other).name != first
    for engine in (shelf, other):
        for number in (1, 17, 40):
            hits = engine.search(shelf.pages["a.pdf", number], 1, candidates=12)
            assert places(hits) == [("a.pdf", number)]
    shelf.add("b.pdf", 2, seed=5)
    assert unlisted(other, client) == 0
    assert other.engine.clean_up() == 0
    assert codebook(other).name == codebook(shelf).name


@pytest.mark.parametrize("change", ["data", "head", "gone"])
def test_a_damaged_codebook_makes_searches_slow_and_never_wrong(
    shelf: Shelf, server: QdrantServer, client: QdrantClient, change: str
) -> None:
    shelf.add("a.pdf", 40)
    of_codebook = server_filter(Where.equal(kind="codebook"))
    found, _ = client.scroll("pages", of_codebook, limit=9)
    parts: list[Any] = [one.id for one in found if one.payload and "data" in one.payload]
    heads: list[Any] = [one.id for one in found if one.id not in parts]
    if change == "data":
        client.set_payload("pages", {"data": "AAAA"}, parts)
    elif change == "head":
        client.set_payload("pages", {"chunks": 7}, heads)
    else:
        client.delete("pages", parts)
    opened = Shelf(ServerEngine.open(server), shelf.pages)
    assert places(opened.search(QUERY, 5, candidates=5)) == shelf.expected(QUERY, k=5)
    assert any("centroids" in problem for problem in opened.engine.check_files())
    opened.add("b.pdf", 3, seed=2)
    assert places(opened.search(QUERY, 5, candidates=5)) == opened.expected(QUERY, k=5)
    opened.engine.optimize()
    assert list(opened.engine.check_files()) == []
    assert unlisted(opened, client) == 0


def test_altered_centroids_of_a_page_are_found_by_checking(
    shelf: Shelf, client: QdrantClient
) -> None:
    shelf.add("a.pdf", 40)
    found, _ = client.scroll("pages", server_filter(PAGES), limit=1)
    codes = models.SparseVector(indices=[1, 2], values=[1.0, 1.0])
    client.update_vectors("pages", [models.PointVectors(id=found[0].id, vector={"codes": codes})])
    right, wrong = shelf.engine.check_document("a.pdf")
    assert right == 39
    assert "its centroids were altered; searches are correct" in wrong[0]


def test_trouble_with_the_first_stage_undoes_no_commit(
    shelf: Shelf, faulty: FaultyClient, client: QdrantClient
) -> None:
    faulty.faults = [Fault("batch_update_points", lambda: status(500))]
    shelf.add("a.pdf", 40)
    faulty.faults = []
    assert unlisted(shelf, client) == 40
    assert places(shelf.search(QUERY, 5, candidates=5)) == shelf.expected(QUERY, k=5)
    assert shelf.engine.count_pages(parse_filter(None)) == 40
    shelf.add("b.pdf", 1)
    assert unlisted(shelf, client) == 0


def test_a_codebook_is_kept_in_parts_that_a_server_takes(
    shelf: Shelf, client: QdrantClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codebook_points, "CHUNK_BYTES", 500)
    shelf.add("a.pdf", 40)
    found, _ = client.scroll("pages", server_filter(Where.equal(kind="codebook")), limit=99)
    assert len(found) > 3
    assert unlisted(shelf, client) == 0
    made = codebook(shelf).codebook
    data = codebook_bytes(made)
    same = codebook_of_bytes(data)
    parts: list[tuple[NDArray[Any], NDArray[Any]]] = [
        (made.cells, same.cells),
        (made.centroids, same.centroids),
        (made.starts, same.starts),
    ]
    assert all(np.array_equal(one, other) for one, other in parts)


def test_dense_indexes_have_no_first_stage(server: QdrantServer) -> None:
    shelf = Shelf(ServerEngine.create(server, DENSE_ONLY))
    shelf.add("a.pdf", 40)
    shelf.engine.optimize()
    assert shelf.engine.count_pages(EVERYWHERE) == 40
    assert list(shelf.engine.check_files()) == []
