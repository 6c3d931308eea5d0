from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.index.other_writer import writing_elsewhere
from tests.patience import HANG_S

from vdr_integrations import PageSearcher, load_encoder
from vdr_integrations.errors import (
    IndexFormatError,
    IndexLockedError,
    IndexNotFoundError,
    IndexStoreError,
    InvalidVectorError,
    OptionError,
)
from vdr_integrations.index import (
    DenseIndex,
    DocumentRecord,
    FileState,
    Manifest,
    PageRecord,
    open_index,
)
from vdr_integrations.index.folder.file_format import DATABASE_NAME
from vdr_integrations.index.stored_page import page_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

DIMENSION = 8
MANIFEST = Manifest(
    fingerprint="f" * 64,
    model="some/model",
    revision=None,
    dimension=DIMENSION,
    max_visual_tokens=16,
)


@pytest.fixture
def empty(tmp_path: Path) -> DenseIndex:
    return DenseIndex.create(tmp_path / "index", manifest=MANIFEST)


def unit_vectors(count: int, *, seed: int = 0) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def document(source: str, *, total_pages: int = 3) -> DocumentRecord:
    state = FileState(sha256="0" * 64, size_bytes=1, modified_ns=2, checked_ns=3)
    return DocumentRecord(source=source, file=state, total_pages=total_pages)


def page_records(*numbers: int) -> list[PageRecord]:
    return [
        PageRecord(number, page_label=f"p{number}", page_ref=f"vdr-page:{number:064d}", text="t")
        for number in numbers
    ]


def add(index: DenseIndex, source: str, vectors: NDArray[np.float32]) -> None:
    index.add_document(document(source), page_records(*range(1, len(vectors) + 1)), vectors)


def test_what_was_added_is_found_after_opening_again(empty: DenseIndex) -> None:
    vectors = unit_vectors(3)
    add(empty, "a.pdf", vectors)
    opened = DenseIndex.open(empty.path)
    assert opened.manifest == MANIFEST
    assert opened.documents() == [document("a.pdf")]
    best = opened.search(vectors[1], k=1)[0]
    assert best.to_dict() == {
        "source": "a.pdf",
        "page_number": 2,
        "score": pytest.approx(1.0, abs=1e-6),
        "page_label": "p2",
        "total_pages": 3,
        "page_ref": f"vdr-page:{2:064d}",
        "text": "t",
        "page_id": page_id("a.pdf", 2),
        "score_kind": "cosine",
    }


def test_search_is_the_exact_cosine_order(empty: DenseIndex) -> None:
    vectors, query = unit_vectors(50), unit_vectors(1, seed=1)[0]
    add(empty, "a.pdf", vectors[:20])
    add(empty, "b.pdf", vectors[20:])
    hits = empty.search(3 * query, k=10)
    expected = np.argsort(-(vectors @ query))[:10]
    found = [hit.page_number - 1 + (20 if hit.source == "b.pdf" else 0) for hit in hits]
    assert found == expected.tolist()
    assert [hit.score for hit in hits] == pytest.approx((vectors @ query)[expected], abs=1e-6)


def test_equal_pages_come_in_the_order_of_source_and_page_number(empty: DenseIndex) -> None:
    same = np.repeat(unit_vectors(1), 3, axis=0)
    for source in ("c.pdf", "a.pdf", "b.pdf"):
        add(empty, source, same)
    for k in (4, 9, 100):
        found = [(hit.source, hit.page_number) for hit in empty.search(same[0], k=k)]
        assert found == sorted((s, p) for s in ("a.pdf", "b.pdf", "c.pdf") for p in (1, 2, 3))[:k]


def test_an_open_index_sees_what_another_one_writes(empty: DenseIndex) -> None:
    vectors = unit_vectors(2)
    assert empty.search(vectors[0]) == []
    other = DenseIndex.open(empty.path)
    add(other, "a.pdf", vectors)
    assert len(empty.search(vectors[0])) == 2
    assert other.remove_document("a.pdf")
    assert empty.search(vectors[0]) == []
    assert not other.remove_document("a.pdf")


def test_adding_a_document_again_replaces_all_its_pages(empty: DenseIndex) -> None:
    add(empty, "a.pdf", unit_vectors(3))
    add(empty, "a.pdf", unit_vectors(1, seed=5))
    assert empty.count_pages() == 1
    assert len(empty.documents()) == 1


def test_threads_may_search_one_index(empty: DenseIndex) -> None:
    vectors = unit_vectors(40)
    add(empty, "a.pdf", vectors)
    found: dict[int, int] = {}

    def look(row: int) -> None:
        found[row] = empty.search(vectors[row], k=1)[0].page_number

    threads = [threading.Thread(target=look, args=(row,)) for row in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)
    assert found == {row: row + 1 for row in range(40)}


@pytest.mark.parametrize(
    ("numbers", "vectors", "error"),
    [
        ((), unit_vectors(0), OptionError),
        ((1, 1), unit_vectors(2), OptionError),
        ((1, 2), unit_vectors(3), OptionError),
        ((1,), unit_vectors(1).astype(np.float64), OptionError),
        ((1,), unit_vectors(1)[:, :4], OptionError),
        ((1,), 2 * unit_vectors(1), InvalidVectorError),
        ((1,), np.zeros((1, DIMENSION), np.float32), InvalidVectorError),
        ((1,), np.full((1, DIMENSION), np.nan, np.float32), InvalidVectorError),
    ],
)
def test_pages_and_vectors_that_do_not_fit_are_refused(
    empty: DenseIndex,
    numbers: tuple[int, ...],
    vectors: NDArray[np.float32],
    error: type[Exception],
) -> None:
    with pytest.raises(error, match=r"a\.pdf"):
        empty.add_document(document("a.pdf"), page_records(*numbers), vectors)
    assert empty.documents() == []


@pytest.mark.parametrize(
    ("query", "k", "error"),
    [
        (unit_vectors(1)[0], 0, OptionError),
        (unit_vectors(1), 1, OptionError),
        (unit_vectors(1)[0][:4], 1, OptionError),
        (np.zeros(DIMENSION, np.float32), 1, InvalidVectorError),
        (np.full(DIMENSION, np.inf, np.float32), 1, InvalidVectorError),
    ],
)
def test_queries_that_do_not_fit_are_refused(
    empty: DenseIndex, query: NDArray[np.float32], k: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        empty.search(query, k=k)


def test_a_missing_index_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(IndexNotFoundError, match="no index in"):
        DenseIndex.open(tmp_path)
    (tmp_path / DATABASE_NAME).touch()  # left by a writer that was killed at once
    with pytest.raises(IndexNotFoundError):
        DenseIndex.open(tmp_path)
    assert DenseIndex.create(tmp_path, manifest=MANIFEST).documents() == []


@pytest.mark.parametrize(
    "url",
    ["s3://key:secret@bucket/index", Path("s3://key:secret@b/i"), "http://u:secret@localhost/c"],
)
def test_a_url_is_no_folder_and_none_is_made_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str | Path
) -> None:
    monkeypatch.chdir(tmp_path)
    uses: list[Callable[[], object]] = [
        lambda: DenseIndex.create(url, manifest=MANIFEST),
        lambda: DenseIndex.open(url),
        lambda: open_index([url, tmp_path]),
        lambda: PageSearcher(Path(url)),
    ]
    for use in uses:
        with pytest.raises(OptionError, match="an index is a folder") as refused:
            use()
        assert "secret" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_an_index_is_not_made_among_other_files_or_over_another_index(
    empty: DenseIndex, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").touch()
    with pytest.raises(IndexFormatError, match=r"a\.txt"):
        DenseIndex.create(tmp_path / "docs", manifest=MANIFEST)
    with pytest.raises(IndexFormatError, match="is a file"):
        DenseIndex.create(tmp_path / "docs" / "a.txt", manifest=MANIFEST)
    with pytest.raises(IndexStoreError, match="already"):
        DenseIndex.create(empty.path, manifest=MANIFEST)


def test_a_newer_format_is_refused_with_the_way_out(empty: DenseIndex) -> None:
    sql(empty.path, "PRAGMA user_version = 99")
    with pytest.raises(IndexFormatError, match=r"version 99.*Upgrade"):
        DenseIndex.open(empty.path)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    sql(tmp_path, "CREATE TABLE notes (text)")
    with pytest.raises(IndexFormatError, match="another program"):
        DenseIndex.open(tmp_path)


def test_a_damaged_manifest_is_refused(empty: DenseIndex) -> None:
    sql(empty.path, "UPDATE manifest SET settings = '{}'")
    with pytest.raises(IndexFormatError, match="manifest"):
        DenseIndex.open(empty.path)


def test_pages_come_in_any_order_and_are_kept_by_number(empty: DenseIndex) -> None:
    vectors = unit_vectors(3)
    empty.add_document(document("a.pdf"), page_records(3, 1, 2), vectors)
    assert [page.page_number for page in empty.pages()] == [1, 2, 3]
    for row, number in enumerate((3, 1, 2)):
        assert empty.search(vectors[row], k=1)[0].page_number == number


def test_altered_vectors_are_refused_naming_the_page(empty: DenseIndex) -> None:
    vectors = unit_vectors(3)
    add(empty, "a.pdf", vectors)
    (file,) = empty.path.glob("*.dense")
    data = bytearray(file.read_bytes())
    data[DIMENSION * 4 + 5] ^= 1
    file.write_bytes(data)
    with pytest.raises(IndexFormatError, match=r"a\.pdf page 2"):
        DenseIndex.open(empty.path).search(vectors[0])


def test_lost_pages_are_refused_naming_the_page(empty: DenseIndex) -> None:
    vectors = unit_vectors(3)
    add(empty, "a.pdf", vectors)
    sql(empty.path, "DELETE FROM pages WHERE row = 2")
    with pytest.raises(IndexFormatError, match=r"a\.pdf page 2"):
        empty.search(vectors[0])


def test_a_truncated_file_never_gives_a_wrong_answer(empty: DenseIndex) -> None:
    vectors = unit_vectors(200)
    add(empty, "a.pdf", vectors)
    expected = empty.search(vectors[0])
    path = empty.path / DATABASE_NAME
    whole = path.read_bytes()
    lengths = {*range(1, 200, 7), *range(512, len(whole), 2048), len(whole) - 1}
    for length in sorted(lengths):
        path.write_bytes(whole[:length])
        with pytest.raises(IndexStoreError):
            DenseIndex.open(empty.path).search(vectors[0])
    path.write_bytes(whole)
    assert DenseIndex.open(empty.path).search(vectors[0]) == expected


def test_another_process_that_writes_keeps_writers_out_and_readers_in(empty: DenseIndex) -> None:
    vectors = unit_vectors(1)
    add(empty, "a.pdf", vectors)
    with writing_elsewhere(empty.path) as writer:
        in_vain = DenseIndex.open(empty.path, wait_s=0)
        with pytest.raises(IndexLockedError, match=rf"process {writer.pid} is writing"):
            in_vain.remove_document("a.pdf")
        assert len(empty.search(vectors[0])) == 1
    assert empty.remove_document("a.pdf")


def test_skipped_pages_and_odd_names_survive(empty: DenseIndex) -> None:
    record = replace(document("/ö/'\"%;--.pdf"), total_pages=9)
    empty.add_document(record, page_records(4, 9), unit_vectors(2))
    assert empty.document(record.source) == record
    assert json.dumps(empty.search(unit_vectors(1)[0])[0].to_dict())


def sql(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / DATABASE_NAME)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_model_in_a_folder_is_noted_by_its_absolute_path(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_checkpoint.parent)
    encoder = load_encoder(tiny_checkpoint.name, max_visual_tokens=16)
    for manifest in (Manifest.of(encoder), Manifest.of(encoder, model=tiny_checkpoint.name)):
        assert manifest.model == str(tiny_checkpoint.resolve())
    assert Manifest.of(load_encoder("nano", device="cpu")).model == "nano"
