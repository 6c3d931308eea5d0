"""The real client, over a transport that replaces the network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from qdrant_client import QdrantClient, models
from tests.index.server.fake_server import FakeServer, collection_info
from tests.index.server.faulty_client import KEY
from tests.index.server.shelf import BOTH, EVERYWHERE, unit_rows

from vdr_integrations.errors import IndexStoreError
from vdr_integrations.index.server.calls import ServerCalls
from vdr_integrations.index.server.codebook_points import NamedCodebook
from vdr_integrations.index.server.collection import DENSE, TOKENS, Collection, Point
from vdr_integrations.index.server.qdrant_server import QdrantServer
from vdr_integrations.index.server.server_filter import PAGES, server_filter

if TYPE_CHECKING:
    from vdr_integrations.index.scoring.first_stage import Codebook

POINT = "5f0c4d43-0000-4000-8000-000000000000"


@pytest.fixture
def collection(over_http: QdrantClient, pauses: list[float]) -> Collection:
    return Collection(ServerCalls(QdrantServer("pages", client=over_http), sleep=pauses.append))


def test_what_passes_is_tried_again(
    collection: Collection, fake: FakeServer, pauses: list[float]
) -> None:
    fake.answers = [
        httpx.Response(429, headers={"Retry-After": "5"}, json={"status": {"error": KEY}}),
        httpx.Response(429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, text=KEY),
        httpx.Response(503, headers={"Retry-After": "3"}, text=KEY),
        httpx.Response(502, text="<html>"),
        httpx.ReadTimeout(KEY),
        httpx.RemoteProtocolError(KEY),
        httpx.ConnectError(KEY),
    ]
    assert collection.count(server_filter(PAGES)) == 7
    assert len(pauses) == 7
    assert (pauses[0], pauses[2]) == (5, 3)
    assert {request.headers["api-key"] for request in fake.requests} == {KEY}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, text=f"no JSON {KEY}"), r"count failed \(\w+\)"),
        (httpx.Response(200, json={"result": KEY}), r"count failed \(\w+\)"),
        (httpx.Response(403, text=KEY, headers={"x": KEY}), r"\(HTTP 403\); check the api key"),
        (httpx.Response(500, json={"status": {"error": KEY}}), r"\(HTTP 500\)"),
        (httpx.UnsupportedProtocol(KEY), "UnsupportedProtocol"),
    ],
)
def test_what_the_server_says_is_not_repeated(
    collection: Collection, fake: FakeServer, answer: httpx.Response | Exception, said: str
) -> None:
    fake.answers = [answer] * 20
    with pytest.raises(IndexStoreError, match=said) as found:
        collection.count(server_filter(PAGES))
    assert KEY not in str(found.value)
    assert found.value.__cause__ is None
    assert found.value.__context__ is None


def test_requests_are_what_a_server_takes(
    collection: Collection, fake: FakeServer, codebook: Codebook
) -> None:
    fake.otherwise = lambda _: {"result": {"operation_id": 1, "status": "completed"}}
    rows, codes = unit_rows(2), np.array([3, 9], np.uint16)
    collection.upsert([Point(POINT, {"kind": "page"}, {TOKENS: rows, DENSE: rows[0]}, codes)])
    point = fake.sent()["points"][0]
    assert point["vector"]["codes"] == {"indices": [3, 9], "values": [1.0, 1.0]}
    assert np.array_equal(np.array(point["vector"][TOKENS], np.float32), rows)
    assert fake.requests[-1].url.params["wait"] == "true"

    collection.set_payload({"a": 1}, server_filter(EVERYWHERE, ids=[POINT]))
    assert fake.sent()["filter"]["must"] == [{"has_id": [POINT]}]

    fake.otherwise = lambda _: {"result": [{"operation_id": 1, "status": "completed"}] * 2}
    collection.set_codes([Point(POINT, {"listed": "x"}, codes=codes)])
    update, payload = fake.sent()["operations"]
    assert update["update_vectors"]["points"][0]["vector"]["codes"]["indices"] == [3, 9]
    assert payload["set_payload"] == {"payload": {"listed": "x"}, "points": [POINT]}

    fake.otherwise = lambda _: {"result": {"points": []}}
    named = NamedCodebook("x", codebook)
    prefetch = [
        named.prefetch(rows, where=EVERYWHERE, limit=5),
        named.unlisted(where=EVERYWHERE, limit=6),
    ]
    found = server_filter(PAGES)
    assert collection.query(rows, using=TOKENS, found=found, prefetch=prefetch, limit=3) == []
    sent = fake.sent()
    assert [one["limit"] for one in sent["prefetch"]] == [5, 6]
    assert sent["prefetch"][0]["using"] == "codes"
    assert "query" not in sent["prefetch"][1]
    assert "must_not" in sent["prefetch"][1]["filter"]

    fake.otherwise = lambda _: {"result": []}
    assert list(collection.retrieve([POINT], vectors=[TOKENS], everywhere=True)) == []
    assert fake.requests[-1].url.params["consistency"] == "quorum"


def test_a_collection_is_made_for_exact_searches(collection: Collection, fake: FakeServer) -> None:
    def answer(request: httpx.Request) -> Any:
        if request.url.path.endswith("/exists"):
            return {"result": {"exists": False}}
        if request.url.path.endswith("/index"):
            return {"result": {"operation_id": 1, "status": "completed"}}
        return {"result": True} if request.method == "PUT" else {"result": collection_info()}

    fake.otherwise = answer
    collection.make(BOTH)
    made = json.loads(next(one for one in fake.requests if one.method == "PUT").content)
    tokens = made["vectors"][TOKENS]
    assert (tokens["size"], tokens["datatype"], tokens["distance"]) == (16, "float16", "Dot")
    assert tokens["multivector_config"] == {"comparator": "max_sim"}
    assert tokens["hnsw_config"]["m"] == made["vectors"][DENSE]["hnsw_config"]["m"] == 0
    assert made["sparse_vectors"] == {"codes": {"modifier": models.Modifier.IDF.value}}
    indexed = [json.loads(one.content) for one in fake.requests if one.url.path.endswith("/index")]
    assert {"version", "page_ref", "listed"} < {one["field_name"] for one in indexed}


@pytest.fixture
def codebook() -> Codebook:
    from vdr_integrations.index.scoring.first_stage import Codebook

    return Codebook.of(unit_rows(400, seed=3))
