"""Several indexes are tidied up and checked as one; each document where it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.index.late_interaction.pages import FILE, unit_rows
from tests.index.shards.halls import add, made, places, some_books

from vdr_integrations.errors import IndexLockedError
from vdr_integrations.index import open_index
from vdr_integrations.index.verify import verify_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vdr_integrations.index import DenseIndex, LateInteractionIndex

QUERY = unit_rows(6, seed=7)
BOOKS = some_books(3, 2, 4, 5, seed=5)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two books each."""
    found = [tmp_path / "first", tmp_path / "second"]
    for folder, books in zip(found, (BOOKS[:2], BOOKS[2:]), strict=True):
        with made(folder, "plain") as index:
            for book in books:
                add(index, book)
    return found


@pytest.fixture
def joined(folders: list[Path]) -> Iterator[LateInteractionIndex | DenseIndex]:
    with open_index(folders) as index:
        yield index


def sources(folder: Path) -> list[str]:
    with open_index(folder) as index:
        return [one.source for one in index.documents()]


def test_documents_are_removed_from_the_index_that_holds_them(
    joined: LateInteractionIndex, folders: list[Path]
) -> None:
    assert joined.remove_document("002.pdf")
    assert not joined.remove_document("002.pdf")
    assert [sources(folder) for folder in folders] == [["000.pdf", "001.pdf"], ["003.pdf"]]
    ids = [*joined.page_ids({"source": "001.pdf"}), *joined.page_ids({"source": "003.pdf"})[:2]]
    assert joined.remove_pages(ids) == 4
    assert joined.remove_where({"source": "003.pdf", "page_number": 3}) == 1
    assert [sources(folder) for folder in folders] == [["000.pdf"], ["003.pdf"]]
    assert joined.count_pages() == 5


def test_the_state_of_a_file_is_recorded_where_its_document_is(
    joined: LateInteractionIndex, folders: list[Path]
) -> None:
    joined.update_file_state("003.pdf", replace(FILE, modified_ns=99))
    with open_index(folders[1]) as second:
        found = second.document("003.pdf")
    assert found is not None
    assert found.file.modified_ns == 99


def test_all_are_checked_and_problems_are_named(
    joined: LateInteractionIndex, folders: list[Path]
) -> None:
    found = verify_index(joined)
    assert (found.documents, found.pages, found.problems) == (4, 14, ())
    (vectors,) = folders[1].glob("*.tokens")
    data = bytearray(vectors.read_bytes())
    data[-20] ^= 1
    vectors.write_bytes(data)
    found = verify_index(joined)
    assert found.pages == 13
    assert any("003.pdf page 5" in problem for problem in found.problems)


def test_space_is_freed_in_all(joined: LateInteractionIndex, folders: list[Path]) -> None:
    def size(folder: Path) -> int:
        return sum(file.stat().st_size for file in folder.glob("*.tokens"))

    before = [size(folder) for folder in folders]
    for source in ("001.pdf", "002.pdf"):
        joined.remove_document(source)
    hits = joined.search(QUERY, k=50)
    joined.optimize()
    assert all(size(folder) < old for folder, old in zip(folders, before, strict=True))
    assert joined.search(QUERY, k=50) == hits
    assert joined.clean_up() == 0
    assert joined.unfinished.kept().pages == 0
    assert joined.unfinished.sources() == []


def test_a_search_sees_what_another_writer_committed(
    joined: LateInteractionIndex, folders: list[Path]
) -> None:
    (best,) = joined.search(QUERY, k=1)
    with open_index(folders[0]) as first, open_index(folders[1]) as second:
        holder = first if best.source in sources(folders[0]) else second
        holder.remove_document(best.source)
        assert best.source not in {hit.source for hit in joined.search(QUERY, k=50)}
        # It moves to the other index, and is found there.
        other = second if holder is first else first
        add(other, next(book for book in BOOKS if book.source == best.source))
        assert places(joined.search(QUERY, k=1)) == [(best.source, best.page_number)]


def test_other_writers_wait_for_all_of_them(
    joined: LateInteractionIndex, folders: list[Path]
) -> None:
    def write(folder: Path) -> None:
        with open_index(folder, wait_s=0) as index:
            index.remove_document("000.pdf")

    with joined.writing(), ThreadPoolExecutor(1) as other:
        for folder in folders:
            with pytest.raises(IndexLockedError):
                other.submit(write, folder).result()
