"""Hybrid searches of indexes with too many pages to compare all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from benchmarks.synthetic_pages import SyntheticPages
from qdrant_client import QdrantClient
from tests.index.late_interaction.pages import document, places

from vdr_integrations.index import (
    HybridQuery,
    LateInteractionIndex,
    Manifest,
    PageRecord,
    QdrantServer,
)
from vdr_integrations.index.scoring.candidates import outlook, sample, sample_shares
from vdr_integrations.index.server import codebook_points, search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

K = 10
AT_ONCE = 100
VOCABULARY = 3000
RARE = "unheard"
"""A word of one page."""


class Texts:
    """Random texts; the n-th word is 1/n as frequent as the first. A tenth is empty."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        chances = 1 / np.arange(1, VOCABULARY + 1)
        self._chances = chances / chances.sum()

    def words(self, count: int) -> str:
        chosen = self._random.choice(VOCABULARY, size=count, p=self._chances)
        return " ".join(f"word{number}" for number in chosen)

    def page(self) -> str:
        return "" if self._random.random() < 0.1 else self.words(60)


def add(index: LateInteractionIndex, made: SyntheticPages, texts: Texts, *, count: int) -> None:
    """Documents of 100 pages."""
    for start in range(0, count, AT_ONCE):
        pages = list(made.pages(AT_ONCE))
        records = [
            PageRecord(
                number, str(number), f"vdr-page:{number:064d}", text=texts.page(), grid=made.grid
            )
            for number in range(1, AT_ONCE + 1)
        ]
        index.add_document(document(f"{start:05}.pdf", total_pages=AT_ONCE), records, pages)


def found_of_the_best(
    index: LateInteractionIndex, questions: list[tuple[NDArray[np.float32], HybridQuery]]
) -> float:
    found = 0
    for query, words in questions:
        every = index.search(query, k=K, hybrid=words, exhaustive=True)
        hits = index.search(query, k=K, hybrid=words)
        found += len(set(places(hits)) & set(places(every)))
        assert [hit.score for hit in hits] == sorted((one.score for one in hits), reverse=True)
    return found / (K * len(questions))


def last_by_pictures(
    index: LateInteractionIndex, query: NDArray[np.float32], pages: int
) -> tuple[str, int]:
    return places(index.search(query, k=pages, exhaustive=True))[-1]


def add_rare_word(
    index: LateInteractionIndex, made: SyntheticPages, texts: Texts, place: tuple[str, int]
) -> None:
    """Give this page another text; its document and the vectors stay the same."""
    pages = index.get(index.page_ids({"source": place[0]}), with_vectors=True)
    records = [
        PageRecord(
            page.page_number,
            page.page_label,
            page.page_ref,
            text=f"{RARE} {texts.words(59)}" if page.page_number == place[1] else page.text,
            grid=made.grid,
        )
        for page in pages
    ]
    vectors = [page.vectors for page in pages if page.vectors is not None]
    index.add_document(document(place[0], total_pages=AT_ONCE), records, vectors)


FOLDER_PAGES = 1000


@pytest.fixture(scope="module")
def made() -> SyntheticPages:
    return SyntheticPages(rows=6, columns=8, topics=30, dimension=128)


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts()


@pytest.fixture(scope="module")
def large(
    made: SyntheticPages, texts: Texts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LateInteractionIndex]:
    manifest = Manifest("f" * 64, "some/model", None, 128, made.grid.cells)
    with LateInteractionIndex.create(
        tmp_path_factory.mktemp("large") / "ix", manifest=manifest
    ) as index:
        add(index, made, texts, count=FOLDER_PAGES)
        yield index


@pytest.fixture(scope="module")
def questions(
    made: SyntheticPages, texts: Texts, large: LateInteractionIndex
) -> list[tuple[NDArray[np.float32], HybridQuery]]:
    assert large.count_pages() == FOLDER_PAGES
    return [(made.query(), HybridQuery(texts.words(6))) for _ in range(20)]


def test_a_folder_finds_what_comparing_all_pages_finds(
    large: LateInteractionIndex, questions: list[tuple[NDArray[np.float32], HybridQuery]]
) -> None:
    assert found_of_the_best(large, questions) >= 0.9


def test_a_folder_finds_a_page_with_the_word_though_its_picture_is_last(
    large: LateInteractionIndex, made: SyntheticPages, texts: Texts
) -> None:
    query = made.query()
    last = last_by_pictures(large, query, FOLDER_PAGES)
    add_rare_word(large, made, texts, last)
    assert last_by_pictures(large, query, FOLDER_PAGES) == last
    words = HybridQuery(f"what is {RARE}")
    for candidates in (None, 50, K):
        hits = large.search(query, k=K, hybrid=words, candidates=candidates)
        assert last in places(hits)


def test_few_candidates_bring_as_many_hits_as_were_asked_for(
    large: LateInteractionIndex, questions: list[tuple[NDArray[np.float32], HybridQuery]]
) -> None:
    for query, words in questions[:3]:
        for candidates in (1, 2, 7):
            hits = large.search(query, k=candidates, candidates=candidates, hybrid=words)
            assert len(set(places(hits))) == candidates


def test_a_filter_of_many_pages_is_kept(
    large: LateInteractionIndex, questions: list[tuple[NDArray[np.float32], HybridQuery]]
) -> None:
    wide = {"page_number": {"lte": 90}}  # 900 pages, so that both stages work
    for query, words in questions[:3]:
        every = large.search(query, k=K, filter=wide, exhaustive=True, hybrid=words)
        hits = large.search(query, k=K, filter=wide, hybrid=words)
        assert max(hit.page_number for hit in hits) <= 90
        assert len(set(places(hits)) & set(places(every))) >= 7


def test_a_word_that_no_page_has_leaves_the_order_of_pictures(
    large: LateInteractionIndex, questions: list[tuple[NDArray[np.float32], HybridQuery]]
) -> None:
    found = 0
    for query, _ in questions:
        hits = large.search(query, k=K, hybrid=HybridQuery("zzz"))
        found += len(set(places(hits)) & set(places(large.search(query, k=K, exhaustive=True))))
    assert found >= 0.9 * K * len(questions)


SERVER_PAGES = 200


@pytest.fixture(scope="module")
def on_server(texts: Texts) -> Iterator[tuple[LateInteractionIndex, SyntheticPages]]:
    made = SyntheticPages(rows=6, columns=6, topics=8, dimension=64)
    manifest = Manifest("f" * 64, "some/model", None, 64, made.grid.cells)
    client = QdrantClient(":memory:")
    with (
        pytest.MonkeyPatch.context() as patch,
        LateInteractionIndex.create(
            QdrantServer("pages", client=client), manifest=manifest
        ) as index,
    ):
        patch.setattr(codebook_points, "FIRST_PAGES", SERVER_PAGES)
        patch.setattr(search, "SMALL_INDEX_PAGES", 130)
        add(index, made, texts, count=SERVER_PAGES)
        yield index, made
    client.close()


def test_a_server_finds_what_comparing_all_pages_finds(
    on_server: tuple[LateInteractionIndex, SyntheticPages], texts: Texts
) -> None:
    index, made = on_server
    questions = [(made.query(), HybridQuery(texts.words(6))) for _ in range(6)]
    assert found_of_the_best(index, questions) >= 0.9


def test_a_server_finds_a_page_with_the_word_though_its_picture_is_last(
    on_server: tuple[LateInteractionIndex, SyntheticPages], texts: Texts
) -> None:
    index, made = on_server
    query = made.query()
    last = last_by_pictures(index, query, SERVER_PAGES)
    add_rare_word(index, made, texts, last)
    words = HybridQuery(f"what is {RARE}")
    for candidates in (None, K):
        hits = index.search(query, k=K, hybrid=words, candidates=candidates)
        assert last in places(hits)


def test_a_sample_tells_the_scale_of_all_pages() -> None:
    random = np.random.default_rng(0)
    looks = random.normal(size=5000).astype(np.float32)
    exact = (2.0 * looks + 10.0 + random.normal(size=5000)).astype(np.float32)
    errors: list[float] = []
    for count in range(100, 200):
        seen = sample(looks, count=count)
        shares = sample_shares(len(looks), sampled=len(seen))
        assert shares.sum() == pytest.approx(len(looks))
        line = outlook(looks[seen], exact[seen], shares=shares)
        spread = float(np.hypot(line.predicted(looks).std(), line.spread))
        errors.append(abs(spread / float(exact.std()) - 1.0))
    assert np.mean(errors) < 0.06
