"""A folder with too many pages to compare all: codebook, lists, and the pages that they select."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benchmarks.synthetic_pages import SyntheticPages
from tests.index.late_interaction.pages import MANIFEST, document, page_records, places
from tests.index.quarters import search_quarters_in_two_stages

from vdr_integrations.index import Compression, LateInteractionIndex, Manifest
from vdr_integrations.index.folder import first_stage_writer, maxsim_search
from vdr_integrations.index.verify import verify_index

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

DIMENSION = 128
MANY = Manifest("f" * 64, "some/model", None, DIMENSION, 48)
PAGES = 1200
AT_ONCE = 100
K = 10
FOUND = 0.9
"""Pages of 56 tokens are told apart worse than those of 740, which benchmarks.late_index has."""


def add(index: LateInteractionIndex, made: SyntheticPages, first: int, count: int) -> None:
    """Documents of 100 pages, named by the number of their first page."""
    for start in range(first, first + count, AT_ONCE):
        pages = list(made.pages(min(AT_ONCE, first + count - start)))
        records = page_records(*range(1, len(pages) + 1), grid=made.grid)
        index.add_document(document(f"{start:05}.pdf"), records, pages)


def overlap(index: LateInteractionIndex, queries: list[NDArray[np.float32]]) -> float:
    found = 0
    for query in queries:
        every = index.search(query, k=K, exhaustive=True)
        hits = index.search(query, k=K)
        found += len(set(places(hits)) & set(places(every)))
        scores = {(hit.source, hit.page_number): hit.score for hit in every}
        assert all(
            hit.score == scores[hit.source, hit.page_number]
            for hit in hits
            if (hit.source, hit.page_number) in scores
        )
    return found / (K * len(queries))


@pytest.fixture(scope="module")
def made() -> SyntheticPages:
    return SyntheticPages(rows=6, columns=8, topics=30, dimension=DIMENSION)


@pytest.fixture(scope="module")
def queries(made: SyntheticPages) -> list[NDArray[np.float32]]:
    return [made.query() for _ in range(6)]


@pytest.fixture
def quarters(monkeypatch: pytest.MonkeyPatch) -> None:
    search_quarters_in_two_stages(monkeypatch)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, made: SyntheticPages) -> Path:
    """1,200 pages, with list files and with pages that are not in one yet."""
    path = tmp_path_factory.mktemp("large") / "index"
    with (
        pytest.MonkeyPatch.context() as patch,
        LateInteractionIndex.create(path, manifest=MANY) as index,
    ):
        patch.setattr(first_stage_writer, "TAIL_PAGES", 300)
        add(index, made, 0, PAGES)
    return path


def test_two_stages_find_what_one_finds(large: Path, queries: list[NDArray[np.float32]]) -> None:
    assert list(large.glob("*.codebook"))
    assert list(large.glob("*.lists"))
    with LateInteractionIndex.open(large) as index:
        assert overlap(index, queries) >= FOUND
        assert verify_index(index).problems == ()


def test_a_search_of_a_large_index_compares_a_part_of_its_pages(
    large: Path, queries: list[NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []
    original = maxsim_search.page_scores

    def counted(*args: object, **options: object) -> NDArray[np.float32]:
        scores = original(*args, **options)  # pyright: ignore[reportArgumentType]
        compared.append(len(scores))
        return scores

    monkeypatch.setattr(maxsim_search, "page_scores", counted)
    with LateInteractionIndex.open(large) as index:
        for query in queries:
            compared.clear()
            index.search(query, k=K)
            assert K <= sum(compared) < PAGES
            compared.clear()
            index.search(query, k=K, candidates=50)
            assert sum(compared) == 50
            compared.clear()
            index.search(query, k=K, exhaustive=True)
            assert sum(compared) == PAGES


def test_a_narrow_filter_brings_all_its_pages(
    large: Path, queries: list[NDArray[np.float32]]
) -> None:
    with LateInteractionIndex.open(large) as index:
        for query in queries:
            hits = index.search(query, k=7, filter={"source": "01100.pdf", "page_number": [3, 50]})
            assert {hit.page_number for hit in hits} == {3, 50}
            wide = {"page_number": {"lte": 75}}  # 900 pages, so that both stages work
            every = index.search(query, k=5, filter=wide, exhaustive=True)
            assert {hit.page_number <= 75 for hit in every} == {True}
            assert len(set(places(every)) & set(places(index.search(query, filter=wide)))) >= 4


def test_pages_come_and_go_and_are_found_or_not(
    tmp_path: Path,
    made: SyntheticPages,
    queries: list[NDArray[np.float32]],
    monkeypatch: pytest.MonkeyPatch,
    quarters: None,
) -> None:
    monkeypatch.setattr(first_stage_writer, "TAIL_PAGES", 50)
    with (
        LateInteractionIndex.create(tmp_path / "ix", manifest=MANY) as index,
        LateInteractionIndex.open(tmp_path / "ix") as reader,
    ):
        for step in range(4):
            add(index, made, 1000 * step, 100)
            assert overlap(reader, queries) >= FOUND
        for document_ in index.documents()[::2]:
            assert index.remove_document(document_.source)
        assert reader.count_pages() == 200
        add(index, made, 9000, 75)
        assert overlap(reader, queries) >= FOUND
        index.optimize()
        assert overlap(reader, queries) >= FOUND
        page = reader.get(reader.page_ids({"source": "09000.pdf"})[:1], with_vectors=True)[0]
        assert page.vectors is not None
        best = reader.search(page.vectors, k=1)[0]
        assert (best.source, best.page_number) == ("09000.pdf", 1)
        assert verify_index(index).problems == ()


@pytest.mark.parametrize("suffix", ["codebook", "lists"])
def test_altered_files_of_the_first_stage_change_no_answer_and_are_made_again(
    large: Path, tmp_path: Path, queries: list[NDArray[np.float32]], suffix: str
) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(large, copy)
    with LateInteractionIndex.open(copy) as index:
        before = [index.search(query, k=K, exhaustive=True) for query in queries]
    for file in copy.glob(f"*.{suffix}"):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 4
        file.write_bytes(data)
    with LateInteractionIndex.open(copy) as index:
        assert [index.search(query, k=K) for query in queries] == before
        problems = verify_index(index).problems
        assert problems
        assert all("vdr optimize makes it again" in problem for problem in problems)
        index.optimize()
        assert verify_index(index).problems == ()
        assert overlap(index, queries) >= FOUND


def test_a_small_index_has_no_codebook(tmp_path: Path) -> None:
    made = SyntheticPages(rows=2, columns=3, topics=4, dimension=16)
    with LateInteractionIndex.create(tmp_path / "ix", manifest=MANIFEST) as index:
        add(index, made, 0, 700)
        index.optimize()
        assert not list((tmp_path / "ix").glob("*.codebook"))


@pytest.mark.parametrize("vectors", ["float32", "int8"])
def test_other_formats_are_searched_in_two_stages_too(
    tmp_path: Path,
    made: SyntheticPages,
    queries: list[NDArray[np.float32]],
    vectors: str,
    quarters: None,
) -> None:
    compression = Compression(vectors=vectors)  # pyright: ignore[reportArgumentType]
    with LateInteractionIndex.create(
        tmp_path / "ix", manifest=MANY, compression=compression
    ) as index:
        add(index, made, 0, 250)
        assert overlap(index, queries) >= FOUND
