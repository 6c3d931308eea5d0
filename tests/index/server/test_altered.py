"""Altered data is refused by name, and does not harm other data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from qdrant_client import models
from tests.index.server.shelf import EVERYWHERE, Shelf, document, some_pages, unit_rows

from vdr_integrations.errors import IndexFormatError
from vdr_integrations.index.page_filter import parse_filter
from vdr_integrations.index.server.engine import ServerEngine
from vdr_integrations.index.server.points import document_id
from vdr_integrations.index.server.qdrant_server import QdrantServer
from vdr_integrations.index.stored_page import page_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from qdrant_client import QdrantClient

QUERY = unit_rows(3, seed=4)
ADVICE = r"a\.pdf page 2.*remove this one.*index it again"


@pytest.fixture
def page(shelf: Shelf, client: QdrantClient) -> models.Record:
    """The point of page 2 of a document."""
    shelf.add("a.pdf", 3, year=2020, team="x")
    shelf.add("b.pdf", 2, seed=1)
    found, _ = client.scroll("pages", limit=99, with_vectors=True)
    return next(
        one
        for one in found
        if one.payload
        and (one.payload.get("source"), one.payload.get("page_number")) == ("a.pdf", 2)
    )


def altered_content(payload: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {"content": json.dumps({**json.loads(payload["content"]), **changed})}


CHANGES: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
    lambda p: altered_content(p, text="another"),
    lambda p: altered_content(p, label="another"),
    lambda p: altered_content(p, ref="another"),
    lambda p: altered_content(p, bias=0.5),
    lambda p: altered_content(p, number=3),
    lambda p: altered_content(p, grid=[0, 1, 1]),
    lambda p: altered_content(p, metadata={"year": 2021}),
    lambda p: altered_content(p, source="b.pdf"),
    lambda _: {"content": None},
    lambda _: {"sha256": "0" * 64},
    lambda p: {"fields": {**p["fields"], "number_year": [2021]}},
    lambda _: {"fields": {}},
    lambda _: {"page_ref": "another"},
    lambda _: {"page_id": "another"},
    lambda _: {"version": "another"},
]


@pytest.mark.parametrize("change", CHANGES)
def test_an_altered_record_of_a_page_is_refused(
    shelf: Shelf,
    client: QdrantClient,
    page: models.Record,
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    assert page.payload is not None
    client.set_payload("pages", change(page.payload), [page.id])
    engine = shelf.engine
    reads: list[Callable[[], object]] = [
        lambda: shelf.search(QUERY, 9),
        lambda: engine.pages_where(EVERYWHERE),
        lambda: engine.search_text("text", k=9, where=EVERYWHERE),
    ]
    for read in reads:
        with pytest.raises(IndexFormatError, match=ADVICE) as found:
            read()
        assert "delete" not in str(found.value)
    right, wrong = engine.check_document("a.pdf")
    assert (right, len(wrong)) == (2, 1)
    assert "a.pdf page 2: its record was altered" in wrong[0]
    assert len(shelf.search(QUERY, 9, filter={"source": "b.pdf"})) == 2
    assert engine.remove_document("a.pdf")
    shelf.add("a.pdf", 3)
    assert len(shelf.search(QUERY, 9)) == 5


@pytest.mark.parametrize("field", ["source", "page_number"])
def test_an_altered_name_of_a_page_is_refused(
    shelf: Shelf, client: QdrantClient, page: models.Record, field: str
) -> None:
    client.set_payload("pages", {field: {"source": "z.pdf", "page_number": 7}[field]}, [page.id])
    with pytest.raises(IndexFormatError, match=ADVICE):
        shelf.search(QUERY, 9)
    assert shelf.engine.check_document("a.pdf")[0] == 2


def test_altered_vectors_are_refused(
    shelf: Shelf, client: QdrantClient, page: models.Record
) -> None:
    rows: Any = page.vector
    rows["tokens"][0][0] += 0.125
    client.update_vectors("pages", [models.PointVectors(id=page.id, vector=rows)])
    ids = [page_id("a.pdf", 2)]
    reads: list[Callable[[], object]] = [
        lambda: shelf.search(QUERY, 9),
        lambda: shelf.engine.rerank(QUERY, ids, bias_weight=0.0),
        lambda: shelf.engine.pages(ids, vectors=True),
    ]
    for read in reads:
        with pytest.raises(IndexFormatError, match=ADVICE):
            read()
    assert len(shelf.engine.pages(ids, vectors=False)) == 1
    assert shelf.engine.check_document("a.pdf") == (2, ["a.pdf page 2: its vectors were altered."])


def test_pages_that_changed_places_are_refused(
    shelf: Shelf, client: QdrantClient, page: models.Record
) -> None:
    found, _ = client.scroll("pages", limit=99, with_payload=True)
    other = next(one for one in found if one.payload and one.payload.get("page_number") == 3)
    assert other.payload is not None
    client.set_payload("pages", dict(other.payload), [page.id])
    with pytest.raises(IndexFormatError, match=r"a\.pdf page 3"):
        shelf.search(QUERY, 9)
    with pytest.raises(IndexFormatError, match=r"a\.pdf page 3"):
        shelf.engine.text_scores("text", EVERYWHERE)


@pytest.mark.parametrize(
    "change",
    [{"owns": "v0"}, {"record": "{}"}, {"sha256": ""}, {"source": "z.pdf"}],
)
def test_an_altered_record_of_a_document_is_refused_and_harms_no_other(
    shelf: Shelf, client: QdrantClient, page: models.Record, change: dict[str, Any]
) -> None:
    client.set_payload("pages", change, [document_id("a.pdf")])
    engine = shelf.engine
    reads: list[Callable[[], object]] = [
        lambda: shelf.search(QUERY, 9),
        engine.documents,
        lambda: engine.count_pages(EVERYWHERE),
        lambda: engine.document("a.pdf"),
        engine.clean_up,
        lambda: engine.search_text("text", k=9, where=parse_filter({"source": "b.pdf"})),
    ]
    for read in reads:
        with pytest.raises(IndexFormatError, match=r"a\.pdf.*remove this one"):
            read()
    assert [one.source for one in engine.documents(skip_altered=True)] == ["b.pdf"]
    assert engine.altered_documents() == ["a.pdf"]
    assert any("a.pdf" in problem for problem in engine.check_files())
    assert engine.check_document("a.pdf") == (0, [])
    assert len(shelf.search(QUERY, 9, filter={"source": "b.pdf"})) == 2
    assert engine.count_pages(parse_filter({"source": "b.pdf"})) == 2
    shelf.add("a.pdf", 2, seed=8)
    assert len(shelf.search(QUERY, 9)) == 4
    assert engine.clean_up() == 0


def test_an_altered_document_can_be_removed(
    shelf: Shelf, client: QdrantClient, page: models.Record
) -> None:
    client.set_payload("pages", {"record": "{}"}, [document_id("a.pdf")])
    assert shelf.engine.remove_document("a.pdf")
    assert shelf.engine.altered_documents() == []
    assert shelf.engine.clean_up() == 0
    assert len(shelf.search(QUERY, 9)) == 2


def test_a_document_of_which_no_name_is_known_can_be_removed(
    shelf: Shelf, client: QdrantClient, page: models.Record
) -> None:
    client.set_payload("pages", {"source": "z.pdf", "record": "{}"}, [document_id("a.pdf")])
    assert shelf.engine.altered_documents() == ["z.pdf"]
    assert shelf.engine.remove_document("z.pdf")
    assert shelf.engine.altered_documents() == []
    assert shelf.engine.clean_up() == 3


@pytest.mark.parametrize("words", ["", "AAAA", "%", None, 3])
def test_altered_words_are_counted_again(
    shelf: Shelf, client: QdrantClient, page: models.Record, words: object
) -> None:
    before = shelf.engine.search_text("text 2", k=9, where=EVERYWHERE)
    client.set_payload("pages", {"words": words}, [page.id])
    other = ServerEngine.open(QdrantServer("pages", client=client))
    assert other.search_text("text 2", k=9, where=EVERYWHERE) == before
    right, (wrong,) = other.check_document("a.pdf")
    assert right == 2
    assert "a.pdf page 2: its words were altered" in wrong


def test_a_lost_page_is_named_by_text_searches(
    shelf: Shelf, client: QdrantClient, page: models.Record
) -> None:
    assert len(shelf.engine.search_text("text 2", k=9, where=EVERYWHERE)) == 5
    client.delete("pages", [page.id])
    other = ServerEngine.open(QdrantServer("pages", client=client))
    for engine in (shelf.engine, other):
        with pytest.raises(IndexFormatError, match=r"a\.pdf page 2.*its record is gone"):
            engine.search_text("text 2", k=9, where=EVERYWHERE)


def test_lost_pages_are_named_and_nothing_is_deleted(
    shelf: Shelf, client: QdrantClient, page: models.Record
) -> None:
    staged = shelf.sent("c.pdf", some_pages(2))
    client.delete("pages", [page.id])
    with pytest.raises(IndexFormatError, match=r"a\.pdf has 2 of 3 pages \(page 2 is gone"):
        shelf.engine.clean_up()
    right, wrong = shelf.engine.check_document("a.pdf")
    assert (right, wrong) == (2, ["a.pdf page 2: its record is gone."])
    staged.commit(document("c.pdf"))
    assert shelf.engine.count_pages(parse_filter({"source": "c.pdf"})) == 2


def test_a_whole_index_has_no_problems(shelf: Shelf, page: models.Record) -> None:
    assert list(shelf.engine.check_files()) == []
    assert shelf.engine.check_document("a.pdf") == (3, [])
    assert shelf.engine.check_document("unknown") == (0, [])
