"""What cannot be one index, and what several indexes refuse: a wrong result is worse."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qdrant_client import QdrantClient
from tests.index.late_interaction.pages import (
    DENSE_MANIFEST,
    DIMENSION,
    document,
    unit_rows,
)
from tests.index.shards.halls import add, made, some_books

from vdr_integrations.errors import (
    IndexFormatError,
    IndexMismatchError,
    IndexNotFoundError,
    IndexStoreError,
    OptionError,
)
from vdr_integrations.index import (
    Compression,
    LateInteractionIndex,
    Manifest,
    QdrantServer,
    QuestionBank,
    open_index,
)

if TYPE_CHECKING:
    from pathlib import Path

QUERY = unit_rows(6, seed=7)
BOOKS = some_books(3, 2, 4, seed=5)


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    """Two folders with one book each."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder, book in zip(folders, BOOKS, strict=False):
        with made(folder, "plain") as index:
            add(index, book)
    return folders


OTHER_BANK = QuestionBank(unit_rows(40, seed=5).astype(np.float16), strength=0.75)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("plain", {"manifest": Manifest("e" * 64, "other/model", None, DIMENSION, 16)}, "other/mo"),
        ("dense", {}, "keeps one vector a page, made by some/dense"),
        ("plain", {"dense_manifest": DENSE_MANIFEST}, "keeps dense vectors, made by some/dense"),
        ("late", {"dense_manifest": None}, "question bank of 40 tokens"),
        ("plain", {"compression": Compression(vectors="int8")}, "int8"),
        ("plain", {"compression": Compression(token_pooling=2)}, "token_pooling=2"),
    ],
)
def test_an_index_that_was_made_otherwise_is_refused_by_name(
    pair: list[Path], tmp_path: Path, kind: str, options: dict[str, Any], message: str
) -> None:
    made(tmp_path / "other", kind, **options).close()
    with pytest.raises(IndexMismatchError, match="scores cannot be compared") as refused:
        open_index([*pair, tmp_path / "other"])
    found = str(refused.value)
    assert str(pair[0]) in found
    assert str(tmp_path / "other") in found
    assert message in found


def test_another_question_bank_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "a", "late").close()
    made(tmp_path / "b", "late", question_bank=OTHER_BANK).close()
    with pytest.raises(IndexMismatchError, match=r"a has a question bank .* and index .*b has a"):
        open_index([tmp_path / "a", tmp_path / "b"])


def test_one_index_twice_and_a_copy_of_one_are_refused(pair: list[Path], tmp_path: Path) -> None:
    shutil.copytree(pair[0], tmp_path / "copy")
    (tmp_path / "link").symlink_to(pair[0])
    for again in (pair[0], tmp_path / "copy", tmp_path / "link"):
        with pytest.raises(IndexMismatchError, match="the same index, or copies of one") as refused:
            open_index([*pair, again])
        assert str(again) in str(refused.value)


def test_an_empty_list_is_refused_and_a_list_of_one_is_that_index(pair: list[Path]) -> None:
    with pytest.raises(OptionError, match="name at least one"):
        open_index([])
    with open_index(pair[:1]) as index:
        assert index.path == index.places[0] == pair[0]
        add(index, BOOKS[2])
        assert index.count_pages() == 7


def test_a_document_in_two_indexes_is_refused_when_they_are_opened(pair: list[Path]) -> None:
    with open_index(pair[1]) as second:
        add(second, BOOKS[0])
    with pytest.raises(IndexMismatchError, match=r"000\.pdf is in index .*first and in .*second"):
        open_index(pair)


def test_a_document_that_another_writer_adds_to_a_second_index_is_refused_at_once(
    pair: list[Path],
) -> None:
    with open_index(pair) as joined, open_index(pair[1]) as writer:
        before = joined.search(QUERY)
        add(writer, BOOKS[0])
        late: Any = joined
        for read in (
            lambda: late.search(QUERY),
            lambda: late.search(QUERY, exhaustive=True),
            lambda: late.search_text("ant"),
            lambda: late.rerank(QUERY, [hit.page_id for hit in before]),
            late.count_pages,
            late.pages,
            late.documents,
            lambda: late.document("000.pdf"),
            lambda: late.get([before[0].page_id]),
            lambda: late.pages_of_ref(before[0].page_ref),
            lambda: late.remove_document("000.pdf"),
            lambda: late.check_document("000.pdf"),
        ):
            with pytest.raises(IndexMismatchError, match=r"000\.pdf is in index .*first and in"):
                read()
        writer.remove_document("000.pdf")
        assert joined.search(QUERY) == before


def test_the_same_is_refused_on_a_server(tmp_path: Path) -> None:
    client = QdrantClient(":memory:")
    with (
        made(tmp_path / "a", "plain") as folder,
        made(QdrantServer("b", client=client), "plain") as server,
        open_index([folder, server]) as joined,
    ):
        add(folder, BOOKS[0])
        add(server, BOOKS[1])
        before = joined.search(QUERY)
        assert {hit.source for hit in before} == {"000.pdf", "001.pdf"}
        add(server, BOOKS[0])
        with pytest.raises(IndexMismatchError, match=r"000\.pdf is in index .*a and in index .*b"):
            joined.search(QUERY)
        server.remove_document("000.pdf")
        assert joined.search(QUERY) == before
    client.close()


def test_a_missing_index_is_an_error_that_names_it(pair: list[Path], tmp_path: Path) -> None:
    with pytest.raises(IndexNotFoundError, match="nowhere"):
        open_index([*pair, tmp_path / "nowhere"])
    with open_index(pair) as joined:
        shutil.rmtree(pair[1])
        for read in (lambda: joined.search(QUERY), joined.count_pages, joined.documents):
            with pytest.raises(IndexStoreError, match="second"):
                read()


def test_a_damaged_index_is_an_error_that_names_it(pair: list[Path]) -> None:
    (vectors,) = pair[1].glob("*.tokens")
    data = bytearray(vectors.read_bytes())
    data[len(data) // 2] ^= 1
    vectors.write_bytes(data)
    with open_index(pair) as joined, pytest.raises(IndexFormatError, match="second"):
        joined.search(QUERY)


def test_documents_are_written_to_one_index_alone(pair: list[Path]) -> None:
    with open_index(pair) as joined:
        assert joined.places == [*pair]
        record = document("new.pdf", total_pages=1)
        for write in (
            lambda: add(joined, BOOKS[2]),
            lambda: joined.stage_document("new.pdf"),
            lambda: joined.copy_document("000.pdf", record),
            joined.check_takes_documents,
        ):
            with pytest.raises(OptionError, match=r"to 2 indexes at once \(.*first.*second\)"):
                write()
        assert [one.source for one in joined.documents()] == ["000.pdf", "001.pdf"]


def test_a_closed_one_says_so_and_leaves_open_what_others_opened(pair: list[Path]) -> None:
    first = LateInteractionIndex.open(pair[0])
    joined = open_index([first, pair[1]])
    joined.close()
    joined.close()
    with pytest.raises(IndexStoreError, match=r"first.*second is closed"):
        joined.search(QUERY)
    assert first.count_pages() == 3
    first.close()
