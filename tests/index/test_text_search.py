"""Searches of text layers, in a folder and on a server."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient
from tests.index.late_interaction.pages import DENSE_MANIFEST, MANIFEST, document, unit_rows
from tests.index.plain_bm25 import plain_bm25

from vdr_integrations.errors import OptionError
from vdr_integrations.index import DenseIndex, LateInteractionIndex, PageRecord, QdrantServer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from tests.index.plain_bm25 import Place

    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.types import Hit

WORDS = ["ant", "bee", "cat", "dog", "eel", "fox"]
SOURCES = ["a.pdf", "b.pdf", "c.pdf"]


def in_folder(kind: type[PageIndex]) -> Generator[PageIndex]:
    with tempfile.TemporaryDirectory() as place:
        yield from made(kind, Path(place) / "index")


def on_server(kind: type[PageIndex]) -> Generator[PageIndex]:
    client = QdrantClient(":memory:")
    yield from made(kind, QdrantServer("pages", client=client))
    client.close()


def made(kind: type[PageIndex], location: Any) -> Generator[PageIndex]:
    manifest = DENSE_MANIFEST if kind is DenseIndex else MANIFEST
    assert kind in (DenseIndex, LateInteractionIndex)
    with kind.create(location, manifest=manifest) as index:
        yield index


PLACES = {"folder": in_folder, "server": on_server}


@pytest.fixture(params=[*PLACES])
def place(request: pytest.FixtureRequest) -> Callable[[type[PageIndex]], Generator[PageIndex]]:
    return PLACES[request.param]


@pytest.fixture
def index(place: Callable[[type[PageIndex]], Generator[PageIndex]]) -> Iterator[PageIndex]:
    yield from place(DenseIndex)


def add(index: PageIndex, source: str, texts: Sequence[str]) -> None:
    count = len(texts)
    pages = [
        PageRecord(number, str(number), f"vdr-page:{number:064d}", text=text)
        for number, text in enumerate(texts, start=1)
    ]
    vectors: Any = [unit_rows(3, seed=number) for number in range(count)]
    if isinstance(index, DenseIndex):
        vectors = unit_rows(count, dimension=DENSE_MANIFEST.dimension)
    kinds = [{"half": "first" if 2 * number < count else "second"} for number in range(count)]
    index.add_document(document(source, total_pages=count), pages, vectors, page_metadata=kinds)


def keys(hits: Sequence[Hit]) -> list[tuple[str, int, float]]:
    return [(hit.source, hit.page_number, hit.score) for hit in hits]


def expected(
    texts: Mapping[Place, str], question: str, *, k: int, among: Callable[[Place], bool]
) -> list[tuple[str, int, float]]:
    scores = plain_bm25(texts, question)
    found = [(*place, round(one, 5)) for place, one in scores.items() if one > 0 and among(place)]
    return sorted(found, key=lambda one: (-one[2], one[0], one[1]))[:k]


some_text = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)
some_pages = st.lists(some_text, min_size=1, max_size=4)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(SOURCES), some_pages),
        st.tuples(st.just("remove"), st.sampled_from(SOURCES), st.none()),
        st.tuples(st.just("remove page"), st.sampled_from(SOURCES), st.integers(1, 4)),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=15, deadline=None)
@given(changes=changes, question=some_text, k=st.integers(1, 12))
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("kind", [DenseIndex, LateInteractionIndex])
def test_hits_are_those_of_plain_bm25_after_every_change(
    kind: type[PageIndex], where: str, changes: list[Any], question: str, k: int
) -> None:
    texts: dict[Place, str] = {}
    for index in PLACES[where](kind):
        for what, source, value in changes:
            if what == "add":
                texts = {one: text for one, text in texts.items() if one[0] != source}
                texts |= {(source, n): text for n, text in enumerate(value, start=1)}
                add(index, source, value)
            elif what == "remove":
                texts = {one: text for one, text in texts.items() if one[0] != source}
                index.remove_document(source)
            else:
                gone = [p.page_id for p in index.pages({"source": source, "page_number": value})]
                index.remove_pages(gone)
                texts.pop((source, value), None)
            everywhere = expected(texts, question, k=k, among=lambda _: True)
            assert keys(index.search_text(question, k=k)) == everywhere
        inside = expected(texts, question, k=k, among=lambda one: one[0] == "b.pdf")
        assert keys(index.search_text(question, k=k, filter={"source": "b.pdf"})) == inside
        seconds = expected(texts, question, k=k, among=lambda one: one[1] >= 2)
        found = index.search_text(question, k=k, filter={"page_number": {"gte": 2}})
        assert keys(found) == seconds


HOSTILE = {
    "zeros": "ant\x00ant \x00",
    "signs": "\"*) (-:^ %_ ' ; -- §",
    "long": "x" * 100_000,
    "marks": "a" + "\u0301" * 5_000,
    "right to left": "\u202eشركة\u202c שלום",
    "large": "ant bee " * 60_000,
}


def test_no_text_of_a_page_or_question_is_an_operator_or_fails(index: PageIndex) -> None:
    add(index, "a.pdf", ["ant ant", *HOSTILE.values()])
    for name, text in HOSTILE.items():
        hits = index.search_text(text, k=20)
        number = 2 + list(HOSTILE).index(name)
        assert (number in {hit.page_number for hit in hits}) == (name != "signs")
    (plain,) = index.search_text('"ant" AND NOT bee*', k=1)
    assert plain.score == index.search_text("ant and not bee", k=1)[0].score


def test_a_question_of_ten_thousand_words_counts_each_of_them(index: PageIndex) -> None:
    add(index, "a.pdf", ["ant bee", "cat"])
    (once,) = index.search_text("bee")
    (often,) = index.search_text("bee " * 10_000 + " ".join(f"word{n}" for n in range(10_000)))
    assert often.score == pytest.approx(10_000 * once.score, rel=1e-3)


def test_pages_without_text_are_never_found_and_change_no_score(index: PageIndex) -> None:
    add(index, "a.pdf", ["ant bee", "bee"])
    before = keys(index.search_text("ant bee"))
    add(index, "scan.pdf", ["", "...", "\n"])
    assert keys(index.search_text("ant bee")) == before
    assert [hit.source for hit in index.search_text("ant bee", filter={"source": "scan.pdf"})] == []


def test_a_filter_does_not_change_the_score_of_a_page(index: PageIndex) -> None:
    add(index, "a.pdf", ["ant", "bee ant", "cat", "bee"])
    add(index, "b.pdf", ["bee", "bee"])
    everywhere = keys(index.search_text("ant bee", k=9))
    for chosen in ({"source": "a.pdf"}, {"metadata": {"half": "second"}}):
        ids = set(index.page_ids(chosen))
        places = {(page.source, page.page_number) for page in index.get(sorted(ids))}
        found = keys(index.search_text("ant bee", k=9, filter=chosen))
        assert found == [one for one in everywhere if one[:2] in places]
        assert found


def test_equal_pages_come_by_source_and_number(index: PageIndex) -> None:
    for source in ("c.pdf", "a.pdf", "b.pdf"):
        add(index, source, ["ant", "ant", "bee"])
    wanted = [(source, number) for source in ("a.pdf", "b.pdf", "c.pdf") for number in (1, 2)]
    for k in (1, 3, 6, 9):
        assert [one[:2] for one in keys(index.search_text("ant", k=k))] == wanted[:k]


def test_copies_have_the_scores_of_their_original(index: PageIndex) -> None:
    add(index, "a.pdf", ["ant", "bee"])
    index.copy_document("a.pdf", document("b.pdf", total_pages=2))
    hits = index.search_text("ant")
    assert [hit.source for hit in hits] == ["a.pdf", "b.pdf"]
    assert hits[0].score == hits[1].score > 0


def test_a_hit_has_all_that_the_index_knows_of_its_page(index: PageIndex) -> None:
    add(index, "a.pdf", ["ant", "bee", "cat"])
    (hit,) = index.search_text("bee")
    (page,) = index.get([hit.page_id])
    assert hit == page.hit(hit.score, "bm25")
    assert (hit.total_pages, hit.text) == (3, "bee")
    assert asyncio.run(index.asearch_text("bee")) == [hit]


def test_a_document_that_is_not_committed_is_not_found(index: PageIndex) -> None:
    add(index, "a.pdf", ["ant"])
    before = keys(index.search_text("ant"))
    staged = index.stage_document("b.pdf")
    staged.add(
        PageRecord(1, "1", f"vdr-page:{1:064d}", text="ant"),
        unit_rows(1, dimension=DENSE_MANIFEST.dimension)[0],
    )
    assert keys(index.search_text("ant")) == before
    staged.commit(document("b.pdf", total_pages=1))
    assert len(index.search_text("ant")) == 2


@pytest.mark.parametrize("text", [None, 3, "\ud83d"])
def test_a_question_that_is_no_text_is_refused(index: PageIndex, text: Any) -> None:
    with pytest.raises(OptionError, match="text"):
        index.search_text(text)
    with pytest.raises(OptionError, match="number of hits"):
        index.search_text("ant", k=0)


def test_an_empty_index_and_an_empty_question_find_nothing(index: PageIndex) -> None:
    assert index.search_text("ant") == []
    add(index, "a.pdf", ["ant"])
    assert index.search_text("") == []
    assert index.search_text("?!") == []
