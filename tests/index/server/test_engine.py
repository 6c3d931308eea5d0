"""Promises of an index on a server, in the client's in-process mode."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.index.server.shelf import (
    BOTH,
    DENSE_DIMENSION,
    DENSE_ONLY,
    EVERYWHERE,
    FILE,
    MANIFEST,
    SETTINGS,
    Shelf,
    document,
    places,
    some_pages,
    unit_rows,
)

from vdr_integrations.errors import (
    IndexFormatError,
    IndexLockedError,
    IndexMismatchError,
    IndexNotFoundError,
    IndexStoreError,
)
from vdr_integrations.index import LateInteractionIndex, maxsim_score
from vdr_integrations.index.compression import Compression
from vdr_integrations.index.folder.vector_bytes import token_bytes, token_matrix
from vdr_integrations.index.page_filter import parse_filter
from vdr_integrations.index.search_steps import DenseSearch
from vdr_integrations.index.server import collection
from vdr_integrations.index.server.engine import ServerEngine
from vdr_integrations.index.server.opened import FORMAT_VERSION, MANIFEST_ID

if TYPE_CHECKING:
    from qdrant_client import QdrantClient
    from tests.index.server.faulty_client import FaultyClient

    from vdr_integrations.index.server.qdrant_server import QdrantServer


def test_search_is_the_order_of_exact_maxsim(shelf: Shelf) -> None:
    for seed, source in enumerate(["b.pdf", "a.pdf", "c.pdf"]):
        shelf.add(source, 8, seed=seed)
    for seed in range(4):
        query = unit_rows(6, seed=500 + seed)
        hits = shelf.search(query, 10)
        assert places(hits) == shelf.expected(query, k=10)
        for hit in hits:
            rows = shelf.pages[hit.source, hit.page_number].astype(np.float16)
            assert hit.score == round(maxsim_score(query, rows), 5)


def test_equal_pages_come_by_source_and_number(shelf: Shelf) -> None:
    same = unit_rows(8)
    for source in ("c.pdf", "a.pdf", "b.pdf"):
        shelf.staged(source, [same] * 3).commit(document(source))
    expected = [(source, page) for source in ("a.pdf", "b.pdf", "c.pdf") for page in (1, 2, 3)]
    for k in (1, 4, 9, 50):
        assert places(shelf.search(same[:3], k)) == expected[:k]


def test_a_page_comes_back_as_it_went_in(shelf: Shelf) -> None:
    shelf.add("a.pdf", 2, tags=["x", None, 1.5, {"deep": True}], year=2020)
    hit = shelf.search(shelf.pages["a.pdf", 2], 1)[0]
    page = shelf.engine.pages([hit.page_id, "unknown"], vectors=True)[0]
    assert (page.source, page.page_number, page.page_label, page.text) == (
        "a.pdf",
        2,
        "p2",
        "text 2",
    )
    assert page.bias == 0.0
    assert (page.total_pages, hit.total_pages) == (9, 9)
    tags = ["x", None, 1.5, {"deep": True}]
    assert page.metadata == hit.metadata == {"tags": tags, "year": 2020, "number": 2}
    stored = shelf.pages["a.pdf", 2].astype(np.float16).astype(np.float32)
    assert page.vectors is not None
    assert np.array_equal(page.vectors, stored)
    assert shelf.engine.pages([hit.page_id], vectors=False)[0].vectors is None
    assert shelf.engine.pages_of_ref(page.page_ref)[0].page_id == hit.page_id
    assert shelf.engine.rerank(
        shelf.pages["a.pdf", 2], [hit.page_id, "unknown"], bias_weight=0.0
    ) == [hit]
    assert shelf.engine.rerank(unit_rows(2), [], bias_weight=0.0) == []


def test_filters_narrow_every_way_of_searching(shelf: Shelf) -> None:
    for seed in range(3):
        shelf.add(f"{seed}.pdf", 6, seed=seed, even=seed % 2 == 0)
    query = unit_rows(5, seed=77)
    every = shelf.search(query, 18)
    ways: list[dict[str, Any]] = [{}, {"candidates": 4}, {"exhaustive": True}]
    for options in ways:
        hits = shelf.search(query, 4, filter={"source": "1.pdf"}, **options)
        assert hits == [hit for hit in every if hit.source == "1.pdf"][:4]
    assert shelf.engine.count_pages(parse_filter({"metadata": {"even": True}})) == 12
    found = shelf.engine.pages_where(parse_filter({"page_number": {"gte": 5}, "source": "2.pdf"}))
    assert [(page.source, page.page_number) for page in found] == [("2.pdf", 5), ("2.pdf", 6)]


def test_a_document_that_comes_again_replaces_the_one_before(shelf: Shelf) -> None:
    shelf.add("a.pdf", 5)
    shelf.add("a.pdf", 2, seed=3)
    engine, query = shelf.engine, unit_rows(4, seed=9)
    assert engine.count_pages(EVERYWHERE) == len(engine.pages_where(EVERYWHERE)) == 2
    assert places(shelf.search(query, 9)) == shelf.expected(query, k=9)
    assert engine.clean_up() == 0


def test_documents_and_pages_go(shelf: Shelf) -> None:
    for source in ("a.pdf", "b.pdf"):
        shelf.add(source, 3)
    engine = shelf.engine
    ids = [page.page_id for page in engine.pages_where(parse_filter({"source": "a.pdf"}))]
    assert engine.remove_pages([ids[1], "unknown"]) == 1
    assert engine.remove_pages([ids[1]]) == 0
    assert [page.page_number for page in engine.pages(ids, vectors=False)] == [1, 3]
    assert engine.remove_pages(ids) == 2
    assert [one.source for one in engine.documents()] == ["b.pdf"]
    assert engine.remove_document("b.pdf")
    assert not engine.remove_document("b.pdf")
    assert shelf.search(unit_rows(2)) == []
    assert engine.clean_up() == 0


def test_a_file_that_was_looked_at_keeps_its_pages(shelf: Shelf) -> None:
    shelf.add("a.pdf")
    seen = replace(FILE, checked_ns=99)
    shelf.engine.update_file_state("a.pdf", seen)
    shelf.engine.update_file_state("unknown", seen)
    assert shelf.engine.document("a.pdf") == replace(document("a.pdf"), file=seen)
    assert len(shelf.search(unit_rows(2))) == 3


def test_both_kinds_of_vectors(server: QdrantServer) -> None:
    shelf = Shelf(ServerEngine.create(server, BOTH))
    shelf.add("a.pdf", 20)
    query = unit_rows(4, seed=5)
    dense = unit_rows(1, seed=7, dimension=DENSE_DIMENSION)[0]
    hits = shelf.search(query, 1, candidates=1, dense_query=dense)
    assert hits[0].page_number in set(range(1, 21))
    # Among candidates by dense vectors, the nearest is the page with this vector.
    assert 7 in [hit.page_number for hit in shelf.search(query, 5, candidates=5, dense_query=dense)]
    page = shelf.engine.pages([hits[0].page_id], vectors=True)[0]
    assert page.dense is not None
    assert page.dense.shape == (DENSE_DIMENSION,)


def test_dense_vectors_alone(server: QdrantServer) -> None:
    shelf = Shelf(ServerEngine.create(server, DENSE_ONLY))
    for seed, source in enumerate(["b.pdf", "a.pdf"]):
        shelf.add(source, 9, seed=seed)
    query = unit_rows(1, seed=50, dimension=DENSE_DIMENSION)[0]
    scored = sorted(
        (-round(float(rows[0] @ query), 6), *place) for place, rows in shelf.pages.items()
    )
    hits = shelf.engine.search(DenseSearch(query, k=5, where=EVERYWHERE))
    assert [(-hit.score, hit.source, hit.page_number) for hit in hits] == scored[:5]
    few = shelf.engine.search(DenseSearch(query, k=50, where=parse_filter({"source": "a.pdf"})))
    assert len(few) == 9


def test_int8_scores_as_a_folder_does(server: QdrantServer) -> None:
    settings = replace(SETTINGS, compression=Compression(vectors="int8"))
    shelf = Shelf(ServerEngine.create(server, settings))
    shelf.add("a.pdf", 4)
    query = unit_rows(3, seed=8)
    for hit in shelf.search(query, 4):
        rows = shelf.pages["a.pdf", hit.page_number]
        kept = token_matrix(
            token_bytes(rows, vectors="int8"),
            tokens=len(rows),
            dimension=rows.shape[1],
            vectors="int8",
        )
        assert hit.score == pytest.approx(maxsim_score(query, kept), abs=1e-5)


def test_pages_go_to_the_server_a_few_at_a_time(
    shelf: Shelf, faulty: FaultyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "BATCH_BYTES", 10_000)
    faulty.calls.clear()
    shelf.add("a.pdf", 12)
    assert faulty.calls.count("upsert") > 2
    assert shelf.engine.count_pages(EVERYWHERE) == 12


def test_an_index_is_made_once_and_not_found_before(server: QdrantServer) -> None:
    with pytest.raises(IndexNotFoundError, match="qdrant/pages"):
        ServerEngine.open(server)
    ServerEngine.create(server, SETTINGS).close()
    with pytest.raises(IndexStoreError, match="already"):
        ServerEngine.create(server, SETTINGS)
    assert ServerEngine.open(server).settings == SETTINGS


def test_a_closed_index_says_so(shelf: Shelf) -> None:
    shelf.engine.close()
    shelf.engine.close()
    with pytest.raises(IndexStoreError, match="closed"):
        shelf.search(unit_rows(2))


def test_a_collection_of_something_else_is_refused(
    server: QdrantServer, client: QdrantClient, shelf: Shelf
) -> None:
    client.set_payload("pages", {"format_version": 99}, [MANIFEST_ID])
    with pytest.raises(IndexFormatError, match=r"version 99.*Upgrade"):
        ServerEngine.open(server)
    client.set_payload("pages", {"format_version": FORMAT_VERSION, "record": "{}"}, [MANIFEST_ID])
    with pytest.raises(IndexFormatError, match="settings were altered"):
        ServerEngine.open(server)
    client.delete("pages", [MANIFEST_ID])
    with pytest.raises(IndexFormatError, match="not an index of vdr-integrations"):
        ServerEngine.open(server)


def test_an_index_that_was_made_again_is_noticed(
    server: QdrantServer, client: QdrantClient, shelf: Shelf
) -> None:
    shelf.add("a.pdf")
    client.delete_collection("pages")
    with pytest.raises(IndexNotFoundError):
        shelf.search(unit_rows(2))
    again = Shelf(ServerEngine.create(server, SETTINGS))
    again.add("b.pdf")
    assert {hit.source for hit in shelf.search(unit_rows(2))} == {"b.pdf"}
    client.delete_collection("pages")
    other = replace(SETTINGS, tokens=replace(MANIFEST, fingerprint="e" * 64))
    Shelf(ServerEngine.create(server, other)).add("c.pdf")
    for act in (lambda: shelf.search(unit_rows(2)), lambda: shelf.add("d.pdf")):
        with pytest.raises(IndexMismatchError, match="made again"):
            act()


def test_a_staged_document_does_not_go_into_an_index_that_was_made_again(
    server: QdrantServer, client: QdrantClient, shelf: Shelf
) -> None:
    staged = shelf.staged("a.pdf", some_pages(2))
    client.delete_collection("pages")
    engine = ServerEngine.create(server, SETTINGS)
    with pytest.raises(IndexStoreError, match="made the index again"):
        staged.commit(document("a.pdf"))
    staged.discard()
    assert engine.documents() == []


@pytest.mark.parametrize("is_new", [True, False])
def test_another_thread_waits_for_a_writer_and_no_longer_than_it_was_told(
    server: QdrantServer, *, is_new: bool
) -> None:
    index = LateInteractionIndex.create(server, manifest=MANIFEST, wait_s=0.0)
    if not is_new:
        index = LateInteractionIndex.open(server, wait_s=0.0)
    found: list[BaseException] = []

    def write() -> None:
        try:
            index.remove_document("a.pdf")
        except IndexLockedError as error:
            found.append(error)

    with index.writing(), index.writing():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert ["longer than 0 s" in str(error) for error in found] == [True]
    write()
    assert len(found) == 1


def test_odd_names_and_texts_survive(shelf: Shelf) -> None:
    source = "/ö/'\"%;--\n.pdf"
    metadata: dict[str, Any] = {'a.b["c"]': "\0ü", "big": 2**80, "small": 1e-300}
    shelf.add(source, 1, **metadata)
    found = shelf.engine.pages_where(parse_filter({"metadata": {'a.b["c"]': "\0ü"}}))
    assert [page.source for page in found] == [source]
    assert found[0].metadata["big"] == 2**80
