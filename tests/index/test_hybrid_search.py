"""Hybrid searches in a folder and on a server: they are what their definition says."""

from __future__ import annotations

import asyncio
import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient
from tests.index.late_interaction.pages import DENSE_MANIFEST, MANIFEST, document, unit_rows
from tests.index.plain_hybrid import plain_hybrid

from vdr_integrations.errors import OptionError
from vdr_integrations.index import (
    DenseIndex,
    Hybrid,
    HybridQuery,
    LateInteractionIndex,
    PageRecord,
    QdrantServer,
    QuestionBank,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import NDArray
    from tests.index.plain_bm25 import Place

    from vdr_integrations.types import Hit

WORDS = ["ant", "bee", "cat", "dog", "eel", "fox"]
SOURCES = ["a.pdf", "b.pdf", "c.pdf"]
EVERY = 1000
"""More pages than any index here has."""


@dataclass
class Shelf:
    """An index and the texts of its pages."""

    index: LateInteractionIndex | DenseIndex
    texts: dict[Place, str] = field(default_factory=dict[Any, str])

    def add(self, source: str, texts: Sequence[str], *, seed: int = 0) -> None:
        vectors: Any = [
            unit_rows(5 + number, seed=100 * seed + number) for number in range(len(texts))
        ]
        if isinstance(self.index, DenseIndex):
            vectors = unit_rows(len(texts), seed=seed, dimension=DENSE_MANIFEST.dimension)
        self.add_vectors(source, texts, vectors)

    def add_vectors(self, source: str, texts: Sequence[str], vectors: Any) -> None:
        pages = [
            PageRecord(number, str(number), f"vdr-page:{number:064d}", text=text)
            for number, text in enumerate(texts, start=1)
        ]
        kinds = [{"odd": bool(number % 2)} for number in range(1, len(texts) + 1)]
        self.index.add_document(
            document(source, total_pages=len(texts)), pages, vectors, page_metadata=kinds
        )
        self._forget(source)
        self.texts |= {(source, number): text for number, text in enumerate(texts, start=1)}

    def remove(self, source: str) -> None:
        self.index.remove_document(source)
        self._forget(source)

    def remove_page(self, source: str, number: int) -> None:
        gone = self.index.page_ids({"source": source, "page_number": number})
        self.index.remove_pages(gone)
        self.texts.pop((source, number), None)

    def _forget(self, source: str) -> None:
        self.texts = {place: text for place, text in self.texts.items() if place[0] != source}

    def query(self, *, seed: int = 7) -> NDArray[np.float32]:
        if isinstance(self.index, DenseIndex):
            return unit_rows(1, seed=seed, dimension=DENSE_MANIFEST.dimension)[0]
        return unit_rows(6, seed=seed)

    def pictures(self, **options: Any) -> dict[Place, float]:
        """Scores by vectors of all pages."""
        return scores(self.index.search(self.query(), k=EVERY, **options))

    def search(self, text: str, *, k: int = EVERY, **options: Any) -> list[Hit]:
        weights = options.pop("weights", None) or Hybrid()
        return self.index.search(self.query(), k=k, hybrid=HybridQuery(text, weights), **options)


def scores(hits: Sequence[Hit]) -> dict[Place, float]:
    return {(hit.source, hit.page_number): hit.score for hit in hits}


def places(hits: Sequence[Hit]) -> list[Place]:
    return [(hit.source, hit.page_number) for hit in hits]


def check(
    hits: Sequence[Hit], expected: dict[Place, float], *, pictures: dict[Place, float] | None = None
) -> None:
    """These are all pages with these scores, best first.

    If pictures differ by little, the last decimal of their scores counts for much.
    """
    spread = float(np.std(list(pictures.values()))) if pictures else 1.0
    error = max(1e-3, 4e-5 / spread) if spread > 1e-5 else 1e-3
    assert scores(hits) == pytest.approx(expected, abs=error)
    order = [(-hit.score, hit.source, hit.page_number) for hit in hits]
    assert order == sorted(order)
    assert {hit.score_kind for hit in hits} <= {"hybrid"}


def late_in_folder() -> Generator[Shelf]:
    with (
        tempfile.TemporaryDirectory() as place,
        LateInteractionIndex.create(
            Path(place) / "ix", manifest=MANIFEST, dense_manifest=None
        ) as index,
    ):
        yield Shelf(index)


def late_on_server() -> Generator[Shelf]:
    client = QdrantClient(":memory:")
    with LateInteractionIndex.create(
        QdrantServer("pages", client=client), manifest=MANIFEST
    ) as index:
        yield Shelf(index)
    client.close()


def dense_in_folder() -> Generator[Shelf]:
    with (
        tempfile.TemporaryDirectory() as place,
        DenseIndex.create(Path(place) / "ix", manifest=DENSE_MANIFEST) as index,
    ):
        yield Shelf(index)


KINDS = {"folder": late_in_folder, "server": late_on_server, "dense": dense_in_folder}


@pytest.fixture(params=[*KINDS])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    yield from KINDS[request.param]()


some_text = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
changes = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"), st.sampled_from(SOURCES), st.lists(some_text, min_size=1, max_size=5)
        ),
        st.tuples(st.just("remove"), st.sampled_from(SOURCES), st.none()),
        st.tuples(st.just("remove page"), st.sampled_from(SOURCES), st.integers(1, 4)),
    ),
    min_size=1,
    max_size=5,
)
some_weights = st.builds(
    Hybrid,
    text_weight=st.floats(0.1, 4.0, allow_nan=False),
    picture_weight=st.floats(0.1, 4.0, allow_nan=False),
)


@settings(max_examples=8, deadline=None)
@given(changes=changes, question=some_text, weights=some_weights, seed=st.integers(0, 99))
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_the_definition_after_every_change(
    kind: str, changes: list[Any], question: str, weights: Hybrid, seed: int
) -> None:
    for shelf in KINDS[kind]():
        for step, (what, source, value) in enumerate(changes):
            if what == "add":
                shelf.add(source, value, seed=seed + step)
            elif what == "remove":
                shelf.remove(source)
            else:
                shelf.remove_page(source, value)
            pictures = shelf.pictures()
            wanted = plain_hybrid(pictures, shelf.texts, question, weights=weights)
            hits = shelf.search(question, weights=weights)
            check(hits, wanted, pictures=pictures)
            for k in (1, 3):
                assert shelf.search(question, weights=weights, k=k) == hits[:k]
        for where in (
            {"source": "b.pdf"},
            {"page_number": {"gte": 2}},
            {"metadata": {"odd": True}},
        ):
            inside = shelf.pictures(filter=where)
            wanted = plain_hybrid(inside, shelf.texts, question, weights=weights)
            check(shelf.search(question, weights=weights, filter=where), wanted, pictures=inside)


@pytest.fixture
def library(shelf: Shelf) -> Shelf:
    """Two documents with text, and a scan."""
    shelf.add("a.pdf", ["ant bee", "bee bee cat", "dog"], seed=1)
    shelf.add("b.pdf", ["ant ant eel", "fox", "the ant and the bee"], seed=2)
    shelf.add("scan.pdf", ["", " ", ""], seed=3)
    return shelf


def test_the_words_change_the_order_and_the_kind_of_scores(library: Shelf) -> None:
    pictures = places(library.index.search(library.query(), k=EVERY))
    hits = library.search("bee")
    assert places(hits) != pictures
    assert set(places(hits)) == set(pictures)
    assert {hit.score_kind for hit in hits} == {"hybrid"}
    assert hits[0].to_dict()["score_kind"] == "hybrid"
    assert (
        asyncio.run(library.index.asearch(library.query(), k=EVERY, hybrid=HybridQuery("bee")))
        == hits
    )


def test_a_page_with_the_words_is_found_though_its_picture_is_last(library: Shelf) -> None:
    last = min(library.pictures().items(), key=lambda one: one[1])[0]
    texts = ["zebra" if (source, n) == last else "x" for source, n in library.texts]
    by_source: dict[str, list[str]] = {}
    for (source, _), text in zip(library.texts, texts, strict=True):
        by_source.setdefault(source, []).append(text)
    for seed, (source, listed) in enumerate(by_source.items(), start=1):
        library.add(source, listed, seed=seed)
    assert min(library.pictures().items(), key=lambda one: one[1])[0] == last
    (hit,) = library.search("where is the zebra?", k=1)
    assert (hit.source, hit.page_number) == last


@pytest.mark.parametrize("question", ["zebra", "", "?!", "xylophone the of"])
def test_without_a_known_word_the_ranking_is_that_of_pictures(
    library: Shelf, question: str
) -> None:
    hits = library.search(question)
    check(hits, plain_hybrid(library.pictures(), library.texts, ""))
    assert places(hits) == places(library.index.search(library.query(), k=EVERY))


def test_with_empty_text_layers_the_ranking_is_that_of_pictures(shelf: Shelf) -> None:
    shelf.add("scan.pdf", ["", "", "  ", "..."], seed=3)
    assert places(shelf.search("bee")) == places(shelf.index.search(shelf.query(), k=EVERY))


def test_stop_words_do_not_count_unless_there_are_no_others(library: Shelf) -> None:
    pictures = library.pictures()
    check(library.search("the bee and the"), plain_hybrid(pictures, library.texts, "bee"))
    check(library.search("the and the"), plain_hybrid(pictures, library.texts, "the and the"))


def test_a_word_that_is_asked_twice_counts_twice(library: Shelf) -> None:
    wanted = plain_hybrid(library.pictures(), library.texts, "bee bee ant")
    check(library.search("Bee, ant, BEE"), wanted)


def test_one_page_alone_is_found_with_score_0(shelf: Shelf) -> None:
    shelf.add("a.pdf", ["ant"], seed=1)
    for question in ("ant", "bee"):
        (hit,) = shelf.search(question)
        assert (hit.source, hit.score, math.copysign(1.0, hit.score)) == ("a.pdf", 0.0, 1.0)


def test_an_empty_index_and_a_filter_that_fits_nothing_find_nothing(shelf: Shelf) -> None:
    assert shelf.search("ant") == []
    shelf.add("a.pdf", ["ant"], seed=1)
    assert shelf.search("ant", filter={"source": "none.pdf"}) == []


def test_equal_pages_have_equal_scores_in_the_order_of_source_and_number(shelf: Shelf) -> None:
    rows: Any = unit_rows(9, seed=5)
    vectors: Any = [rows] * 3
    if isinstance(shelf.index, DenseIndex):
        vectors = np.repeat(unit_rows(1, seed=5, dimension=DENSE_MANIFEST.dimension), 3, axis=0)
    for source in ("c.pdf", "a.pdf", "b.pdf"):
        shelf.add_vectors(source, ["ant"] * 3, vectors)
    wanted = sorted(shelf.texts)
    assert set(scores(shelf.search("ant")).values()) == {0.0}  # nothing tells them apart
    for k in (1, 4, 9):
        assert places(shelf.search("ant", k=k)) == wanted[:k]
    shelf.add("d.pdf", ["ant ant bee", "cat"], seed=6)
    found = scores(shelf.search("ant"))
    assert len({found[place] for place in wanted}) == 1
    ordered = [place for place in places(shelf.search("ant")) if place in wanted]
    assert ordered == wanted


def test_weights_change_what_counts(library: Shelf) -> None:
    words = library.search("bee", weights=Hybrid(text_weight=1000.0, picture_weight=0.001))
    assert words[0].text == "bee bee cat"
    pictures = library.search("bee", weights=Hybrid(text_weight=1e-6, picture_weight=1.0))
    assert places(pictures) == places(library.index.search(library.query(), k=EVERY))


@pytest.mark.parametrize("name", ["text_weight", "picture_weight"])
@pytest.mark.parametrize("found", [0, -1.0, math.nan, math.inf, True, "1", None])
def test_weights_that_are_not_allowed_are_refused(name: str, found: Any) -> None:
    with pytest.raises(OptionError, match=rf"{name} of a hybrid search must be a number above 0"):
        Hybrid(**{name: found})


@pytest.mark.parametrize("found", [True, "ant", Hybrid(), 1])
def test_an_index_takes_only_a_hybrid_query(library: Shelf, found: Any) -> None:
    with pytest.raises(OptionError, match=r"hybrid must be a HybridQuery .*found .*hybrid=True"):
        library.index.search(library.query(), hybrid=found)


@pytest.mark.parametrize("text", [None, 3, b"ant", "\ud83d"])
def test_a_question_that_is_no_text_is_refused(text: Any) -> None:
    with pytest.raises(OptionError, match="the question of a hybrid search"):
        HybridQuery(text)
    with pytest.raises(OptionError, match="weights of a hybrid search must be a Hybrid, found 2"):
        HybridQuery("ant", 2)  # pyright: ignore[reportArgumentType]


def test_a_document_that_is_not_committed_changes_no_score(library: Shelf) -> None:
    before = library.search("bee")
    staged = library.index.stage_document("z.pdf")
    for number in range(1, 30):
        rows: Any = unit_rows(9, seed=number)
        if isinstance(library.index, DenseIndex):
            rows = unit_rows(1, seed=number, dimension=DENSE_MANIFEST.dimension)[0]
        staged.add(PageRecord(number, "1", f"vdr-page:{number:064d}", text="bee"), rows)
    assert library.search("bee") == before
    staged.discard()
    assert library.search("bee") == before


@pytest.fixture(params=["folder", "server"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    """60 pages with token vectors, dense vectors and a question bank; a third has no text."""
    client = QdrantClient(":memory:")
    place = tmp_path / "ix" if request.param == "folder" else QdrantServer("p", client=client)
    bank = QuestionBank(unit_rows(40, seed=99).astype(np.float16), strength=0.75)
    index = LateInteractionIndex.create(
        place, manifest=MANIFEST, dense_manifest=DENSE_MANIFEST, question_bank=bank
    )
    shelf = Shelf(index)
    draw = np.random.default_rng(0)
    texts = [
        " ".join(draw.choice(WORDS, size=1 + number % 7)) if number % 3 else ""
        for number in range(60)
    ]
    records = [
        PageRecord(number, str(number), f"vdr-page:{number:064d}", text=text)
        for number, text in enumerate(texts, start=1)
    ]
    index.add_document(
        document("a.pdf", total_pages=60),
        records,
        [unit_rows(5 + number % 9, seed=number) for number in range(60)],
        dense=unit_rows(60, dimension=DENSE_MANIFEST.dimension),
    )
    shelf.texts = {("a.pdf", number): text for number, text in enumerate(texts, start=1)}
    yield shelf
    index.close()
    client.close()


@pytest.mark.parametrize("correction", [None, 0.0, 1.5])
def test_corrected_scores_of_pictures_are_what_counts(
    both: Shelf, correction: float | None
) -> None:
    wanted = plain_hybrid(both.pictures(correction=correction), both.texts, "bee fox")
    check(both.search("bee fox", correction=correction), wanted)
    every = both.search("bee fox", correction=correction, exhaustive=True)
    check(every, wanted)


DENSE_QUERY = unit_rows(1, seed=3, dimension=DENSE_MANIFEST.dimension)[0]


def test_dense_vectors_that_select_all_pages_change_no_score(both: Shelf) -> None:
    wanted = plain_hybrid(both.pictures(), both.texts, "bee fox")
    check(both.search("bee fox", k=60, dense_query=DENSE_QUERY), wanted)


@pytest.mark.parametrize("dense_query", [None, DENSE_QUERY])
@pytest.mark.parametrize("candidates", [5, 20, 29, 30, 55, 59])
def test_few_candidates_have_about_the_scores_of_the_definition(
    both: Shelf, candidates: int, dense_query: NDArray[np.float32] | None
) -> None:
    wanted = plain_hybrid(both.pictures(), both.texts, "bee fox")
    hits = both.search("bee fox", k=5, candidates=candidates, dense_query=dense_query)
    assert len(hits) == 5
    assert {hit.score_kind for hit in hits} == {"hybrid"}
    assert scores(hits) == pytest.approx({place: wanted[place] for place in places(hits)}, abs=0.4)
    assert hits[0].score == max(hit.score for hit in hits)


def test_the_best_words_are_candidates(both: Shelf) -> None:
    (page,) = both.index.pages({"page_number": 3})
    assert page.text  # number 2, from 0
    texts = [text for _, text in sorted(both.texts.items())]
    assert len(texts) == 60
    best = plain_hybrid(both.pictures(), both.texts, "fox", weights=Hybrid(text_weight=50.0))
    first = max(best.items(), key=lambda one: one[1])[0]
    hits = both.search("fox", k=3, candidates=8, weights=Hybrid(text_weight=50.0))
    assert places(hits)[0] == first
