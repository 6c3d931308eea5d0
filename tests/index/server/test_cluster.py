"""Options of a cluster, what is sent to it, and what it answers when nodes are gone.

No cluster can be had here. Requests and answers go through the client's own models, and over HTTP
to a transport that replaces the network. The in-process mode of the client has no shards, copies
and small vectors, so it shows nothing about them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from qdrant_client import models
from tests.index.server.fake_server import collection_info
from tests.index.server.faulty_client import KEY, Fault, FaultyClient, of_kind, timeout
from tests.index.server.shelf import BOTH, EVERYWHERE, SETTINGS, Shelf, places, unit_rows

from vdr_integrations.errors import IndexMismatchError, IndexStoreError, OptionError
from vdr_integrations.index.scoring.first_stage import Codebook
from vdr_integrations.index.server.calls import ServerCalls
from vdr_integrations.index.server.codebook_points import NamedCodebook
from vdr_integrations.index.server.collection import TOKENS, Collection, Point
from vdr_integrations.index.server.engine import ServerEngine
from vdr_integrations.index.server.qdrant_server import QdrantServer
from vdr_integrations.index.server.server_filter import PAGES, server_filter

if TYPE_CHECKING:
    from collections.abc import Callable

    from qdrant_client import QdrantClient
    from tests.index.server.fake_server import FakeServer

POINT = "5f0c4d43-0000-4000-8000-000000000000"
QUERY = unit_rows(4, seed=9)
CLUSTER: dict[str, Any] = {
    "shard_number": 6,
    "replication_factor": 3,
    "write_consistency_factor": 2,
    "on_disk": True,
    "quantization": "int8",
}


@pytest.fixture
def collection_of(over_http: QdrantClient, pauses: list[float]) -> Callable[..., Collection]:
    def made(**options: Any) -> Collection:
        server = QdrantServer("pages", client=over_http, **options)
        return Collection(ServerCalls(server, sleep=pauses.append))

    return made


def answered(request: httpx.Request, info: Any) -> Any:
    """What a server answers while a collection is made."""
    if request.url.path.endswith("/exists"):
        return {"result": {"exists": False}}
    if request.url.path.endswith("/index"):
        return {"result": {"operation_id": 1, "status": "completed"}}
    return {"result": info if request.method == "GET" else True}


def made_like(request: httpx.Request) -> Any:
    """How a server describes the collection that this request makes, by the client's models."""
    asked = models.CreateCollection.model_validate_json(request.content)
    found = {
        name: getattr(asked, name)
        for name in ("vectors", "sparse_vectors", *list(CLUSTER)[:3])
        if getattr(asked, name) is not None
    }
    return collection_info(**found)


def make(fake: FakeServer, collection: Collection) -> tuple[Any, Any]:
    """The request that makes a collection, as JSON, and how the server describes the result."""
    info: list[Any] = []

    def answer(request: httpx.Request) -> Any:
        if request.method == "PUT" and request.url.path.endswith("/pages"):
            info.append(made_like(request))
        return answered(request, info[-1] if info else None)

    fake.otherwise = answer
    collection.make(BOTH)
    (request,) = (
        one for one in fake.requests if one.method == "PUT" and one.url.path.endswith("/pages")
    )
    return json.loads(request.content), info[-1]


def test_a_collection_is_made_with_the_options(
    collection_of: Callable[..., Collection], fake: FakeServer
) -> None:
    sent, _ = make(fake, collection_of(**CLUSTER))
    assert {name: sent[name] for name in list(CLUSTER)[:3]} == {
        "shard_number": 6,
        "replication_factor": 3,
        "write_consistency_factor": 2,
    }
    tokens, dense = sent["vectors"]["tokens"], sent["vectors"]["dense"]
    assert tokens["on_disk"] is dense["on_disk"] is True
    assert tokens["quantization_config"] == {"scalar": {"type": "int8", "always_ram": True}}
    assert "quantization_config" not in dense
    assert sent["sparse_vectors"]["codes"] == {"modifier": "idf", "index": {"on_disk": True}}


def test_without_options_the_server_decides(
    collection_of: Callable[..., Collection], fake: FakeServer
) -> None:
    sent, _ = make(fake, collection_of())
    assert set(sent) == {"vectors", "sparse_vectors"}
    assert sent["vectors"]["tokens"]["on_disk"] is True
    assert "on_disk" not in sent["vectors"]["dense"]


def test_all_vectors_can_be_in_memory(
    collection_of: Callable[..., Collection], fake: FakeServer
) -> None:
    sent, info = make(fake, collection_of(on_disk=False))
    assert sent["vectors"]["tokens"]["on_disk"] is False
    fake.otherwise = lambda request: answered(request, info)
    collection_of(on_disk=False).find()
    with pytest.raises(IndexMismatchError, match="on_disk is False, not True"):
        collection_of(on_disk=True).find()


def test_an_existing_collection_with_other_options_is_refused_by_their_names(
    collection_of: Callable[..., Collection], fake: FakeServer
) -> None:
    _, info = make(fake, collection_of(**CLUSTER))
    fake.otherwise = lambda request: answered(request, info)
    collection_of(**CLUSTER).find()
    collection_of().find()
    collection_of(read_consistency="all").find()
    with pytest.raises(IndexMismatchError, match=r"shard_number is 6, not 2\. They are chosen"):
        collection_of(shard_number=2).find()
    with pytest.raises(IndexMismatchError) as found:
        collection_of(replication_factor=2, write_consistency_factor=1, on_disk=False).find()
    for said in ("replication_factor is 3, not 2", "factor is 2, not 1", "on_disk is True, not"):
        assert said in str(found.value)
    plain = collection_info(vectors=info["config"]["params"]["vectors"], shard_number=1)
    del plain["config"]["params"]["vectors"]["tokens"]["quantization_config"]
    fake.otherwise = lambda request: answered(request, plain)
    with pytest.raises(IndexMismatchError, match="quantization is None, not 'int8'"):
        collection_of(quantization="int8").find()


def test_what_newer_servers_say_of_places_is_understood(
    collection_of: Callable[..., Collection], fake: FakeServer
) -> None:
    def described(memory: str) -> Any:
        vector = {"size": 16, "distance": "Dot", "memory": memory}
        return collection_info(vectors={"tokens": vector})

    for memory, is_on_disk in (("cold", True), ("cached", False)):
        fake.otherwise = lambda request, memory=memory: answered(request, described(memory))
        collection_of(on_disk=is_on_disk).find()
        with pytest.raises(IndexMismatchError, match=f"on_disk is {is_on_disk}"):
            collection_of(on_disk=not is_on_disk).find()


def test_a_server_that_makes_another_collection_keeps_none(
    collection_of: Callable[..., Collection], fake: FakeServer
) -> None:
    fake.otherwise = lambda request: answered(request, collection_info(shard_number=1))
    with pytest.raises(IndexStoreError, match="did not make it as asked: shard_number is 1"):
        collection_of(shard_number=3).make(SETTINGS)
    assert fake.requests[-1].method == "DELETE"


def test_the_in_process_mode_is_no_cluster(client: QdrantClient) -> None:
    server = QdrantServer("pages", client=client, replication_factor=2)
    with pytest.raises(IndexStoreError, match="replication_factor is None, not 2"):
        ServerEngine.create(server, SETTINGS)
    assert not client.collection_exists("pages")


def test_an_index_is_opened_only_with_options_that_it_has(client: QdrantClient) -> None:
    ServerEngine.create(QdrantServer("pages", client=client, on_disk=False), SETTINGS).close()
    ServerEngine.open(QdrantServer("pages", client=client)).close()
    with pytest.raises(IndexMismatchError, match="on_disk is False, not True"):
        ServerEngine.open(QdrantServer("pages", client=client, on_disk=True))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shard_number": 0}, "shard_number must be a whole number from 1, not 0"),
        ({"replication_factor": True}, "replication_factor must be"),
        ({"write_consistency_factor": 1.5}, r"not 1\.5"),
        ({"replication_factor": 2, "write_consistency_factor": 3}, "give 2 or less"),
        ({"on_disk": "yes"}, "on_disk must be True, False or None"),
        ({"on_disk": 0}, "on_disk must be True, False or None, not 0"),
        ({"quantization": "binary"}, "\"int8\" or None, not 'binary'"),
        ({"read_consistency": "most"}, "one of majority, quorum, all, not 'most'"),
    ],
)
def test_values_that_there_are_not_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        QdrantServer("pages", url="http://localhost:6333", **options)


def test_all_copies_do_writes_in_one_order(
    collection_of: Callable[..., Collection], fake: FakeServer
) -> None:
    collection = collection_of()
    done = {"operation_id": 1, "status": "completed"}
    fake.otherwise = lambda request: {
        "result": [done] if request.url.path.endswith("/batch") else done
    }
    collection.upsert([Point(POINT, {"kind": "page"})])
    collection.delete([POINT])
    collection.delete_where(server_filter(PAGES))
    collection.set_payload({"a": 1}, server_filter(PAGES))
    collection.set_codes([Point(POINT, {"listed": "x"}, codes=np.array([3], np.uint16))])
    assert len(fake.requests) == 5
    for request in fake.requests:
        assert request.url.params["ordering"] == "medium"
        assert request.url.params["wait"] == "true"


@pytest.mark.parametrize("agreed", ["majority", "quorum", "all", None])
def test_what_is_read_is_agreed_on(
    collection_of: Callable[..., Collection], fake: FakeServer, agreed: Any
) -> None:
    collection = collection_of(read_consistency=agreed)

    def answer(request: httpx.Request) -> Any:
        found: dict[str, Any] = {"scroll": {"points": []}, "facet": {"hits": []}}
        found["query"] = {"points": []}
        return {"result": found.get(request.url.path.rsplit("/", 1)[-1], [])}

    fake.otherwise = answer
    assert list(collection.retrieve([POINT])) == []
    assert list(collection.scroll(server_filter(PAGES))) == []
    assert collection.counts_by("version", server_filter(PAGES)) == {}
    found = server_filter(PAGES)
    assert collection.query(QUERY, using=TOKENS, found=found, prefetch=[], limit=3) == []
    assert len(fake.requests) == 4
    assert {request.url.params.get("consistency") for request in fake.requests} == {agreed}


def small_copy_info() -> Any:
    """How a server describes a collection with the option."""
    copy = {"scalar": {"type": "int8", "always_ram": True}}
    tokens = {"size": 16, "distance": "Dot", "quantization_config": copy}
    return collection_info(vectors={"tokens": tokens})


def small_copy_query(
    collection: Collection,
    fake: FakeServer,
    *,
    bias_weight: float = 0.0,
    first: bool = True,
    info: Any = None,
) -> Any:
    """The search that is sent if the server has a small copy of the vectors."""
    fake.otherwise = lambda request: answered(request, info or small_copy_info())
    collection.find()
    named = NamedCodebook("x", Codebook.of(unit_rows(400, seed=3)))
    prefetch = [
        named.prefetch(QUERY, where=EVERYWHERE, limit=500),
        named.unlisted(where=EVERYWHERE, limit=256),
    ]
    fake.otherwise = lambda _: {"result": {"points": []}}
    collection.query(
        QUERY,
        using=TOKENS,
        found=server_filter(PAGES),
        prefetch=prefetch if first else [],
        limit=20,
        bias_weight=bias_weight,
        most_scored=756,
    )
    sent = fake.sent()
    models.QueryRequest.model_validate(sent)
    return sent


def test_the_small_copy_ranks_candidates_and_the_vectors_rank_the_best_of_them(
    collection_of: Callable[..., Collection], fake: FakeServer
) -> None:
    sent = small_copy_query(collection_of(), fake)
    assert (sent["using"], sent["limit"]) == ("tokens", 20)
    assert sent["params"]["quantization"]["ignore"] is True
    (rough,) = sent["prefetch"]
    assert (rough["using"], rough["limit"]) == ("tokens", 80)
    assert rough["params"]["quantization"]["rescore"] is False
    assert [one["limit"] for one in rough["prefetch"]] == [500, 256]
    assert rough["prefetch"][0]["using"] == "codes"


def test_the_small_copy_ranks_candidates_by_their_corrected_scores(
    collection_of: Callable[..., Collection], fake: FakeServer
) -> None:
    sent = small_copy_query(collection_of(), fake, bias_weight=0.5)
    formula = {"formula": {"sum": ["$score", {"mult": [-0.5, "bias"]}]}}
    assert sent["query"] == formula
    (scored,) = sent["prefetch"]
    assert (scored["using"], scored["limit"]) == ("tokens", 80)
    assert scored["params"]["quantization"]["ignore"] is True
    (chosen,) = scored["prefetch"]
    assert (chosen["query"], chosen["limit"]) == (formula, 80)
    (rough,) = chosen["prefetch"]
    assert (rough["limit"], rough["params"]["quantization"]["rescore"]) == (756, False)
    assert [one["limit"] for one in rough["prefetch"]] == [500, 256]


def test_a_search_of_all_pages_does_not_use_the_small_copy(
    collection_of: Callable[..., Collection], fake: FakeServer
) -> None:
    sent = small_copy_query(collection_of(), fake, first=False)
    assert sent["params"]["quantization"]["ignore"] is True
    assert "prefetch" not in sent


def test_another_copy_that_the_server_makes_for_all_collections_is_not_used(
    collection_of: Callable[..., Collection], fake: FakeServer
) -> None:
    info = collection_info(vectors={"tokens": {"size": 16, "distance": "Dot"}})
    info["config"]["quantization_config"] = {"binary": {}}
    sent = small_copy_query(collection_of(), fake, info=info)
    assert sent["params"]["quantization"]["ignore"] is True
    assert [one["limit"] for one in sent["prefetch"]] == [500, 256]
    fake.otherwise = lambda request: answered(request, info)
    with pytest.raises(IndexMismatchError, match="quantization is 'BinaryQuantization', not"):
        collection_of(quantization="int8").find()


# The sentences of Qdrant's own source.
GONE = [
    "Service internal error: The replica set for shard 2 on peer 7 has no active replica",
    "The replica set for shard 2 on peer 7 does not have enough active replicas",
    "Failed to apply operation to at least one `Active` replica. Please retry. Failed peer: 3",
    "Failed to apply update with Medium ordering via leader peer 3: transport error",
    "Cannot update shard pages:1 with Medium ordering because no leader could be selected",
    "Waiting for consensus operation commit failed. Timeout set at: 10 seconds",
]


@pytest.mark.parametrize("said", GONE)
def test_what_a_cluster_cannot_do_now_is_tried_again(
    collection_of: Callable[..., Collection], fake: FakeServer, pauses: list[float], said: str
) -> None:
    answer = httpx.Response(500, json={"status": {"error": f"{said} {KEY}"}})
    fake.answers = [answer, httpx.Response(408, text=KEY), answer]
    collection = collection_of()
    assert collection.count(server_filter(PAGES)) == 7
    assert len(pauses) == 3
    fake.answers = [answer] * 20
    with pytest.raises(IndexStoreError, match=r"after \d+ attempts \(HTTP 500\)") as found:
        collection.count(server_filter(PAGES))
    assert "too few copies of a shard can be used" in str(found.value)
    assert "/cluster" in str(found.value)
    assert KEY not in str(found.value)
    assert "peer" not in str(found.value)


def test_a_node_that_is_too_slow_is_called_so(
    collection_of: Callable[..., Collection], fake: FakeServer
) -> None:
    fake.answers = [httpx.Response(408, text=KEY)] * 20
    with pytest.raises(IndexStoreError, match=r"\(HTTP 408\); the server, or another node"):
        collection_of().count(server_filter(PAGES))


@pytest.mark.parametrize("had_one", [False, True])
def test_a_commit_that_few_copies_did_is_taken_back(
    shelf: Shelf, faulty: FaultyClient, client: QdrantClient, *, had_one: bool
) -> None:
    """One copy has the document; most have not, so the writer must not leave it there."""
    if had_one:
        shelf.add("a.pdf", 3)
    faulty.faults = [Fault("upsert", timeout, "after", fits=of_kind("document"))]
    before = client.retrieve

    def agreed(**options: Any) -> Any:
        """What most copies have: not what is being written."""
        if options.get("consistency") == models.ReadConsistencyType.QUORUM:
            return []
        return before(**options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "retrieve", agreed)
        with pytest.raises(IndexStoreError, match="upsert failed"):
            shelf.add("a.pdf", 2, seed=1)
    faulty.faults = []
    assert places(shelf.search(QUERY, 50)) == shelf.expected(QUERY, k=50)
    assert shelf.engine.count_pages(EVERYWHERE) == len(shelf.pages)
    assert shelf.engine.check_document("a.pdf") == (3 if had_one else 0, [])
    assert shelf.engine.clean_up() == 0
