"""LlamaIndex's metadata filters over a late-interaction index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index import LateInteractionRetriever
from vdr_integrations.llama_index.retrieval.metadata_filters import page_filter

if TYPE_CHECKING:
    from llama_index.core.schema import BaseNode

    from vdr_integrations import MultiVectorEncoder
    from vdr_integrations.index import QdrantServer

Op = FilterOperator


def filters(*given: Any, condition: str = "and") -> MetadataFilters:
    """Of (key, operator, value), or of filters."""
    made = [
        one
        if isinstance(one, MetadataFilters)
        else MetadataFilter(key=one[0], operator=one[1], value=one[2])
        for one in given
    ]
    return MetadataFilters(filters=made, condition=FilterCondition(condition))


FLAT = {
    "equal text": filters(("kind", Op.EQ, "table")),
    "equal number": filters(("year", Op.EQ, 2022)),
    "no page has it": filters(("kind", Op.EQ, "photo")),
    "no page has the key": filters(("colour", Op.EQ, "red")),
    "one of texts": filters(("kind", Op.IN, ["table", "photo"])),
    "one of numbers": filters(("year", Op.IN, [2021, 2023])),
    "bounds": filters(("year", Op.GT, 2021), ("year", Op.LTE, 2023)),
    "other bounds": filters(("year", Op.GTE, 2022.5), ("year", Op.LT, 2024)),
    "list holds": filters(("tags", Op.CONTAINS, "b")),
    "list holds any": filters(("tags", Op.ANY, ["a", "c"])),
    "two keys": filters(("kind", Op.EQ, "chart"), ("year", Op.GT, 2021)),
    "page numbers": filters(("page_number", Op.GTE, 2)),
    "page number and own key": filters(("page_number", Op.IN, [1, 3]), ("kind", Op.EQ, "chart")),
    "or over one key": filters(("year", Op.EQ, 2021), ("year", Op.IN, [2023]), condition="or"),
    "or of one": filters(("kind", Op.EQ, "table"), condition="or"),
    "the same twice": filters(("kind", Op.EQ, "table"), ("kind", Op.EQ, "table")),
}


@pytest.fixture
def filtered(nodes: list[BaseNode]) -> list[BaseNode]:
    """Pages with metadata of their own."""
    for place, node in enumerate(nodes):
        node.metadata |= {
            "kind": ("chart", "table", "chart")[place],
            "year": 2021 + place,
            "tags": (["a"], ["b", "c"], ["b"])[place],
        }
    return nodes


def found(
    server: QdrantServer, encoder: MultiVectorEncoder, given: MetadataFilters | None
) -> set[int]:
    retriever = LateInteractionRetriever(server, encoder=encoder, similarity_top_k=9, filters=given)
    return {hit.metadata["page_number"] for hit in retriever.retrieve("revenue")}


def test_filters_find_what_they_find_in_a_stock_index(
    filtered: list[BaseNode], encoder: MultiVectorEncoder, server: QdrantServer
) -> None:
    LateInteractionRetriever.from_documents(filtered, index=server, encoder=encoder)
    by_id = {node.node_id: node.metadata for node in filtered}
    for name, given in FLAT.items():
        fits = build_metadata_filter_fn(by_id.__getitem__, given)
        expected = {facts["page_number"] for node_id, facts in by_id.items() if fits(node_id)}
        assert found(server, encoder, given) == expected, name
    assert found(server, encoder, None) == {1, 2, 3}
    assert found(server, encoder, MetadataFilters(filters=[])) == {1, 2, 3}


def test_a_document_is_named_by_its_path(
    filtered: list[BaseNode], encoder: MultiVectorEncoder, server: QdrantServer
) -> None:
    LateInteractionRetriever.from_documents(filtered, index=server, encoder=encoder)
    path = filtered[0].metadata["file_path"]
    for key in ("file_path", "source"):
        assert found(server, encoder, filters((key, Op.EQ, path))) == {1, 2, 3}
        assert found(server, encoder, filters((key, Op.IN, [path, "/b.pdf"]))) == {1, 2, 3}
        assert found(server, encoder, filters((key, Op.EQ, path + "x"))) == set()


def test_filters_that_are_set_later_are_used_too(
    filtered: list[BaseNode], encoder: MultiVectorEncoder, server: QdrantServer
) -> None:
    retriever = LateInteractionRetriever.from_documents(filtered, index=server, encoder=encoder)
    retriever.filters = filters(("year", Op.EQ, 2022))
    assert [hit.metadata["page_number"] for hit in retriever.retrieve("revenue")] == [2]


def test_filters_inside_filters_all_hold() -> None:
    inner = filters(("year", Op.LT, 2024), ("kind", Op.EQ, "table"))
    given = filters(("year", Op.GTE, 2020), inner, ("page_number", Op.EQ, 2))
    assert page_filter(given) == {
        "page_number": 2,
        "metadata": {"year": {"gte": 2020, "lt": 2024}, "kind": "table"},
    }


@pytest.mark.parametrize(
    "given",
    [
        filters(("kind", Op.NE, "table")),
        filters(("kind", Op.NIN, ["table"])),
        filters(("tags", Op.ALL, ["a", "b"])),
        filters(("kind", Op.TEXT_MATCH, "tab")),
        filters(("kind", Op.TEXT_MATCH_INSENSITIVE, "tab")),
        filters(("kind", Op.IS_EMPTY, None)),
        filters(("kind", Op.EQ, None)),
        filters(("tags", Op.EQ, ["a", "b"])),
        filters(("year", Op.GT, [2020])),
        filters(("kind", Op.IN, "table")),
        filters(("kind", Op.EQ, "a"), condition="not"),
        filters(("kind", Op.EQ, "a"), ("year", Op.EQ, 1), condition="or"),
        filters(("year", Op.GT, 1), ("year", Op.EQ, 1), condition="or"),
        filters(filters(("kind", Op.EQ, "a")), ("kind", Op.EQ, "b"), condition="or"),
        filters(("kind", Op.EQ, "a"), ("kind", Op.EQ, "b")),
        filters(("year", Op.GT, 1), ("year", Op.GT, 2)),
        filters(("year", Op.GT, 1), ("year", Op.EQ, 2)),
        filters(("source", Op.EQ, "/a.pdf"), ("source", Op.EQ, "/b.pdf")),
        filters(("page_label", Op.EQ, "iv")),
        filters(("page_ref", Op.EQ, "vdr-page:")),
    ],
    ids=lambda given: "+".join(f"{one}" for one in given.filters)[:60],
)
def test_what_the_index_cannot_do_is_refused_at_once(given: MetadataFilters) -> None:
    with pytest.raises(OptionError, match="filters of a late-interaction index"):
        LateInteractionRetriever("no-such-folder", filters=given)
