"""A server that fails before or after it did a call: no document is ever half there."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from qdrant_client.http.exceptions import ResponseHandlingException
from tests.index.server.faulty_client import (
    KEY,
    Fault,
    FaultyClient,
    of_kind,
    refused,
    reset,
    status,
    timeout,
    too_many,
)
from tests.index.server.shelf import (
    EVERYWHERE,
    SETTINGS,
    Shelf,
    document,
    places,
    some_pages,
    unit_rows,
)

from vdr_integrations.errors import IndexNotFoundError, IndexStoreError
from vdr_integrations.index.server.calls import TRYING_S
from vdr_integrations.index.server.engine import ServerEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from qdrant_client import QdrantClient

    from vdr_integrations.index.server.qdrant_server import QdrantServer

QUERY = unit_rows(4, seed=9)
IN_DOUBT: list[Callable[[], Exception]] = [timeout, reset, lambda: status(500)]


def assert_whole(shelf: Shelf) -> None:
    """The index holds all acknowledged documents, and nothing else."""
    engine = shelf.engine
    assert places(shelf.search(QUERY, 50)) == shelf.expected(QUERY, k=50)
    assert engine.count_pages(EVERYWHERE) == len(shelf.pages)
    assert {one.source for one in engine.documents()} == {source for source, _ in shelf.pages}


@pytest.mark.parametrize("error", IN_DOUBT)
def test_a_commit_that_was_done_and_not_answered_is_done(
    shelf: Shelf, faulty: FaultyClient, error: Callable[[], Exception]
) -> None:
    shelf.add("a.pdf", 3)
    faulty.faults = [Fault("upsert", error, "after", fits=of_kind("document"))]
    shelf.add("a.pdf", 2, seed=1)
    shelf.add("b.pdf", 2, seed=2)
    faulty.faults = []
    assert_whole(shelf)
    assert shelf.engine.clean_up() == 0


@pytest.mark.parametrize("error", [*IN_DOUBT, refused, lambda: status(400)])
def test_a_commit_that_was_not_done_leaves_what_was_there(
    shelf: Shelf, faulty: FaultyClient, error: Callable[[], Exception]
) -> None:
    shelf.add("a.pdf", 3)
    faulty.faults = [Fault("upsert", error, fits=of_kind("document"))]
    for source in ("a.pdf", "b.pdf"):
        with pytest.raises(IndexStoreError, match="upsert failed"):
            shelf.add(source, 2, seed=1)
    faulty.faults = []
    assert_whole(shelf)
    assert shelf.engine.clean_up() == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_where_nobody_knows_nothing_is_deleted(
    shelf: Shelf, faulty: FaultyClient, when: Any
) -> None:
    shelf.add("a.pdf", 3)
    faulty.faults = [Fault("upsert", timeout, when, fits=of_kind("document"))]

    def now_down(method: str, options: dict[str, Any]) -> None:
        if method == "upsert" and of_kind("document")(options) and len(faulty.faults) == 1:
            faulty.faults += [Fault("retrieve", reset), Fault("delete", reset)]

    faulty.on_call = now_down
    with pytest.raises(IndexStoreError, match=r"b\.pdf: it is unknown whether"):
        shelf.add("b.pdf", 2, seed=1)
    faulty.faults, faulty.on_call = [], None
    if when == "after":
        pages = some_pages(2, seed=1)
        shelf.pages |= {("b.pdf", number): pages[number - 1] for number in (1, 2)}
    assert_whole(shelf)
    assert shelf.engine.clean_up() == (0 if when == "after" else 2)


def test_an_interrupted_commit_that_was_done_is_not_undone(
    shelf: Shelf, faulty: FaultyClient
) -> None:
    interrupted: Any = KeyboardInterrupt
    faulty.faults = [Fault("upsert", interrupted, "after", fits=of_kind("document"))]
    with pytest.raises(KeyboardInterrupt):
        shelf.add("a.pdf", 2)
    shelf.pages = {("a.pdf", n): rows for n, rows in enumerate(some_pages(2), start=1)}
    assert_whole(shelf)
    assert shelf.engine.clean_up() == 0


def test_an_interrupted_commit_that_was_not_done_leaves_nothing(
    shelf: Shelf, faulty: FaultyClient
) -> None:
    interrupted: Any = KeyboardInterrupt
    faulty.faults = [Fault("upsert", interrupted, fits=of_kind("document"))]
    with pytest.raises(KeyboardInterrupt):
        shelf.add("a.pdf", 2)
    assert_whole(shelf)
    assert shelf.engine.clean_up() == 0


def test_what_a_killed_writer_left_is_never_found_and_cleaned_up(
    shelf: Shelf, server: QdrantServer
) -> None:
    shelf.add("a.pdf", 3)
    for source in ("a.pdf", "b.pdf"):
        shelf.sent(source, some_pages(4, seed=5))  # and the process is killed
    other = Shelf(ServerEngine.open(server), shelf.pages)
    assert_whole(other)
    assert other.engine.clean_up() == 8
    assert other.engine.clean_up() == 0
    assert_whole(other)


def test_the_older_version_may_stay_behind(shelf: Shelf, faulty: FaultyClient) -> None:
    shelf.add("a.pdf", 3)
    faulty.faults = [Fault("delete", lambda: status(500))]
    shelf.add("a.pdf", 2, seed=1)
    faulty.faults = []
    assert_whole(shelf)
    assert shelf.engine.clean_up() == 3


@pytest.mark.parametrize("method", ["upsert", "count", "retrieve", "set_payload", "delete"])
def test_whatever_fails_for_good_leaves_whole_documents(
    shelf: Shelf, faulty: FaultyClient, method: str
) -> None:
    shelf.add("a.pdf", 3)
    ids = [page.page_id for page in shelf.engine.pages_where(EVERYWHERE)]
    for when in ("before", "after"):
        faulty.faults = [Fault(method, timeout, when)]
        for act in (
            lambda: shelf.add("b.pdf", 2, seed=4),
            lambda: shelf.engine.remove_pages(ids[:1]),
        ):
            try:
                act()
            except IndexStoreError:
                continue
        faulty.faults = []
        there = shelf.engine.documents()
        found = {(p.source, p.page_number) for p in shelf.engine.pages_where(EVERYWHERE)}
        for one in there:
            assert shelf.engine.check_document(one.source)[1] == []
        assert found == set(places(shelf.search(QUERY, 50)))
        assert {one.source for one in there} == {source for source, _ in found}


@pytest.mark.parametrize(
    "error", [timeout, reset, refused, *(lambda c=c: status(c) for c in (429, 502, 503, 504))]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_passes_is_tried_again(
    shelf: Shelf,
    faulty: FaultyClient,
    pauses: list[float],
    error: Callable[[], Exception],
    when: Any,
) -> None:
    methods = ("upsert", "delete", "retrieve", "count", "query_points", "scroll")
    faulty.faults = [Fault(method, error, when, times=2) for method in methods]
    shelf.add("a.pdf", 2)
    shelf.add("a.pdf", 3, seed=1)
    assert_whole(shelf)
    assert all(fault.times == 0 for fault in faulty.faults)
    assert len(pauses) == 2 * len(methods)
    assert all(0.1 < pause < 1 for pause in pauses)


def test_pauses_grow_and_come_to_an_end(
    shelf: Shelf, faulty: FaultyClient, pauses: list[float]
) -> None:
    faulty.faults = [Fault("count", lambda: status(503))]
    with pytest.raises(IndexStoreError, match=r"after \d+ attempts \(HTTP 503\)"):
        shelf.search(QUERY)
    assert 10 < sum(pauses) <= TRYING_S
    assert pauses[-1] > 8 * pauses[0]


def test_retry_after_is_kept(shelf: Shelf, faulty: FaultyClient, pauses: list[float]) -> None:
    told = {"retry-after": "7"}
    faulty.faults = [
        Fault("count", lambda: too_many(11), times=1),
        Fault("count", lambda: status(503, **told), times=1),
    ]
    assert shelf.search(QUERY) == []
    assert pauses == [11, 7]
    faulty.faults = [Fault("count", lambda: too_many(999))]
    with pytest.raises(IndexStoreError, match="HTTP 429"):
        shelf.search(QUERY)
    assert pauses == [11, 7]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (lambda: status(400), "HTTP 400"),
        (lambda: status(401), "api key"),
        (lambda: status(413), "larger than the server accepts"),
        (lambda: status(500), "HTTP 500"),
        (lambda: ResponseHandlingException(httpx.DecodingError(KEY)), "DecodingError"),
        (lambda: ResponseHandlingException(ValueError(KEY)), "ValueError"),
    ],
)
def test_what_does_not_pass_is_not_tried_again(
    shelf: Shelf,
    faulty: FaultyClient,
    pauses: list[float],
    error: Callable[[], Exception],
    said: str,
) -> None:
    faulty.faults = [Fault("count", error)]
    with pytest.raises(IndexStoreError, match=said):
        shelf.search(QUERY)
    assert pauses == []


def test_a_key_is_in_no_error_and_in_no_cause_of_one(shelf: Shelf, faulty: FaultyClient) -> None:
    errors: list[Callable[[], Exception]] = [
        timeout,
        refused,
        lambda: status(500),
        lambda: status(401),
        lambda: status(404),
        lambda: too_many(3),
        lambda: ResponseHandlingException(ValueError(KEY)),
    ]
    for error in errors:
        faulty.faults = [Fault("count", error), Fault("upsert", error), Fault("retrieve", error)]
        for act in (lambda: shelf.search(QUERY), lambda: shelf.add("a.pdf")):
            with pytest.raises(IndexStoreError) as found:
                act()
            shown = "".join(traceback.format_exception(found.value))
            assert KEY not in shown
            chain: BaseException | None = found.value
            while chain is not None:
                assert KEY not in str(chain) + repr(chain)
                chain = chain.__cause__ or chain.__context__
    faulty.faults = []


def test_a_collection_that_is_gone_is_called_so(shelf: Shelf, faulty: FaultyClient) -> None:
    faulty.faults = [Fault("count", lambda: status(404))]
    with pytest.raises(IndexNotFoundError, match="qdrant/pages"):
        shelf.search(QUERY)


def test_a_collection_that_was_made_and_not_answered_is_used(
    server: QdrantServer, faulty: FaultyClient
) -> None:
    faulty.faults = [Fault("create_collection", timeout, "after", times=1)]
    shelf = Shelf(ServerEngine.create(server, SETTINGS, sleep=lambda _: None))
    shelf.add("a.pdf")
    assert_whole(shelf)


def test_an_index_that_could_not_be_made_leaves_no_collection(
    server: QdrantServer, client: QdrantClient, faulty: FaultyClient
) -> None:
    faulty.faults = [Fault("upsert", lambda: status(507))]
    with pytest.raises(IndexStoreError, match="disk is full"):
        ServerEngine.create(server, SETTINGS)
    assert not client.collection_exists("pages")


def test_a_search_sees_a_document_that_is_replaced_meanwhile(
    shelf: Shelf, faulty: FaultyClient
) -> None:
    for seed, source in enumerate(["a.pdf", "b.pdf"]):
        shelf.add(source, 4, seed=seed)
    left = [3]

    def replace(method: str, _: dict[str, Any]) -> None:
        # Between the search and the look-up of the documents.
        if method == "retrieve" and left[0] and faulty.calls[-2] == "query_points":
            left[0] -= 1
            faulty.on_call = None
            shelf.add("a.pdf", 4, seed=10 + left[0])
            faulty.on_call = replace

    faulty.on_call = replace
    hits = shelf.search(QUERY, 8)
    faulty.on_call = None
    assert left == [0]
    assert places(hits) == shelf.expected(QUERY, k=8)


def test_a_listing_sees_a_document_that_is_replaced_meanwhile(
    shelf: Shelf, faulty: FaultyClient
) -> None:
    shelf.add("a.pdf", 4)
    left = [2]

    def replace(method: str, _: dict[str, Any]) -> None:
        if method == "scroll" and left[0]:
            left[0] -= 1
            faulty.on_call = None
            shelf.add("a.pdf", 2, seed=10 + left[0])
            faulty.on_call = replace

    faulty.on_call = replace
    found = shelf.engine.pages_where(EVERYWHERE)
    assert [page.page_number for page in found] == [1, 2]


def test_looking_at_a_file_never_brings_an_older_version_back(
    shelf: Shelf, faulty: FaultyClient
) -> None:
    shelf.add("a.pdf", 3)
    file = document("a.pdf").file
    left = [1]

    def replaced(method: str, _: dict[str, Any]) -> None:
        if method == "set_payload" and left[0]:
            left[0] -= 1
            shelf.add("a.pdf", 2, seed=1)

    faulty.on_call = replaced
    seen = type(file)(file.sha256, file.size_bytes, 7, 8)
    shelf.engine.update_file_state("a.pdf", seen)
    faulty.on_call = None
    assert_whole(shelf)
    assert shelf.engine.documents()[0].file == seen
