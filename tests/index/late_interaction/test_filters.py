from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.index.late_interaction.pages import document, page_records, unit_rows

from vdr_integrations.errors import OptionError
from vdr_integrations.index.page_filter import filterable, parse_filter

if TYPE_CHECKING:
    from vdr_integrations.index import LateInteractionIndex

METADATA: list[dict[str, Any]] = [
    {"year": 2019, "team": "red", "draft": True, "a.b[0]": "x", "share": 0.5},
    {"year": 2020, "team": "blue", "draft": False, "tags": ["x", "y"], "share": 1},
    {"year": 2021, "team": "true", "tags": [], "share": 1.0},
    {"year": "2021", "team": 1, "draft": None, "tags": ["y", 3]},
]


@pytest.fixture
def described(index: LateInteractionIndex) -> LateInteractionIndex:
    """Pages 1 to 4 of a.pdf with METADATA, page 1 of b.pdf without."""
    rows = [unit_rows(7, seed=n) for n in range(4)]
    index.add_document(document("a.pdf"), page_records(1, 2, 3, 4), rows, page_metadata=METADATA)
    index.add_document(document("b.pdf"), page_records(1), rows[:1])
    return index


CASES: list[tuple[dict[str, Any], set[tuple[str, int]]]] = [
    ({"source": "b.pdf"}, {("b.pdf", 1)}),
    ({"source": ["b.pdf", "none.pdf"]}, {("b.pdf", 1)}),
    ({"page_number": 1}, {("a.pdf", 1), ("b.pdf", 1)}),
    ({"page_number": {"gt": 1, "lte": 3}}, {("a.pdf", 2), ("a.pdf", 3)}),
    ({"page_number": [1, 4], "source": "a.pdf"}, {("a.pdf", 1), ("a.pdf", 4)}),
    ({"metadata": {"year": 2021}}, {("a.pdf", 3)}),
    ({"metadata": {"year": "2021"}}, {("a.pdf", 4)}),
    ({"metadata": {"year": [2019, "2021"]}}, {("a.pdf", 1), ("a.pdf", 4)}),
    ({"metadata": {"year": {"gte": 2019.5, "lt": 2021}}}, {("a.pdf", 2)}),
    ({"metadata": {"draft": True}}, {("a.pdf", 1)}),
    ({"metadata": {"draft": [True, False]}}, {("a.pdf", 1), ("a.pdf", 2)}),
    ({"metadata": {"team": True}}, set()),
    ({"metadata": {"team": "true"}}, {("a.pdf", 3)}),
    ({"metadata": {"team": 1}}, {("a.pdf", 4)}),
    ({"metadata": {"share": 1}}, {("a.pdf", 2), ("a.pdf", 3)}),
    ({"metadata": {"a.b[0]": "x"}}, {("a.pdf", 1)}),
    ({"metadata": {"tags": "y"}}, {("a.pdf", 2), ("a.pdf", 4)}),
    ({"metadata": {"tags": [3, "x"]}}, {("a.pdf", 2), ("a.pdf", 4)}),
    ({"metadata": {"team": "red", "year": 2020}}, set()),
    ({"metadata": {}}, {("a.pdf", 1), ("a.pdf", 2), ("a.pdf", 3), ("a.pdf", 4), ("b.pdf", 1)}),
    ({"metadata": {"source": "b.pdf"}}, set()),
]


def test_filters_find_what_they_say(described: LateInteractionIndex) -> None:
    query = unit_rows(2)
    for given_filter, expected in CASES:
        hits = described.search(query, k=9, filter=given_filter)
        assert {(hit.source, hit.page_number) for hit in hits} == expected, given_filter
        assert described.count_pages(given_filter) == len(expected)


@pytest.mark.parametrize(
    "wrong",
    [
        "source",
        {"year": 2020},
        {1: 2},
        {"source": 3},
        {"source": []},
        {"source": None},
        {"page_number": "1"},
        {"page_number": []},
        {"page_number": True},
        {"page_number": {}},
        {"page_number": {"gte": "a"}},
        {"page_number": {"gte": 1, "near": 2}},
        {"metadata": "x"},
        {"metadata": {"year": None}},
        {"metadata": {"year": []}},
        {"metadata": {"year": [None]}},
        {"metadata": {"year": {"$gt": 1}}},
        {"metadata": {"year": float("nan")}},
        {"metadata": {"year": 2**53 + 1}},
        {"metadata": {"year": object()}},
    ],
)
def test_anything_else_is_refused(wrong: Any) -> None:
    with pytest.raises(OptionError, match="filter"):
        parse_filter(wrong)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values))
@settings(max_examples=40)
def test_every_key_of_any_metadata_becomes_a_plain_path(metadata: dict[str, Any]) -> None:
    for key in filterable(metadata, source="/a.pdf"):
        assert key.replace("_", "").isalnum()
        assert key.isascii()
