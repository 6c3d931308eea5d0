from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.index.folder.shelf import KINDS, add, answers, queries
from tests.index.late_interaction.pages import DENSE_MANIFEST, MANIFEST

from vdr_integrations.errors import (
    IndexFormatError,
    IndexMismatchError,
    IndexNotFoundError,
    IndexStoreError,
)
from vdr_integrations.index import DenseIndex, LateInteractionIndex, open_index
from vdr_integrations.index.folder.file_format import FORMAT_VERSION
from vdr_integrations.index.folder.reader import FolderReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.index.folder.shelf import Index, Kind

CALLS: dict[str, Callable[[Index], object]] = {
    "documents": lambda index: index.documents(),
    "document": lambda index: index.document("a.pdf"),
    "count": lambda index: index.count_pages(),
    "pages": lambda index: index.pages(),
    "search": lambda index: index.search(queries(index, 0)[0]),
    "filtered": lambda index: index.search(queries(index, 0)[0], filter={"source": "a.pdf"}),
    "add": lambda index: add(index, "z.pdf"),
    "remove": lambda index: index.remove_document("a.pdf"),
    "optimize": lambda index: index.optimize(),
}


def make(path: Path, kind: Kind, *, seed: int) -> None:
    """Two documents; the rows of their pages have the same numbers with every seed."""
    with kind.create(path) as index:
        for number, source in enumerate(["a.pdf", f"only {seed}.pdf"]):
            add(index, source, 3, seed=10 * seed + number)


@pytest.mark.parametrize("name", KINDS)
def test_a_running_reader_answers_from_the_index_that_was_made_again(
    tmp_path: Path, name: str
) -> None:
    path, kind = tmp_path / "index", KINDS[name]
    make(path, kind, seed=1)
    with open_index(path) as index:
        first = answers(index)
        shutil.rmtree(path)
        make(path, kind, seed=2)
        with open_index(path) as fresh:
            second = answers(fresh)
        assert first != second
        assert answers(index) == second
        add(index, "more.pdf", 2, seed=3)
        with open_index(path) as fresh:
            assert answers(index) == answers(fresh)
            assert len(fresh.documents()) == 3


@pytest.mark.parametrize("name", ["dense", "float16"])
@pytest.mark.parametrize("call", CALLS)
def test_an_index_made_again_in_the_middle_of_a_call_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: str
) -> None:
    path, kind = tmp_path / "index", KINDS[name]
    make(path, kind, seed=1)
    with open_index(path) as index:
        answers(index)
        taken, again = FolderReader.snapshot, [True]

        def snapshot(reader: FolderReader) -> Any:
            found = taken(reader)
            if again.pop() if again else False:
                shutil.rmtree(path)
                make(path, kind, seed=2)
            return found

        monkeypatch.setattr(FolderReader, "snapshot", snapshot)
        try:
            found = CALLS[call](index)
        except IndexNotFoundError:
            found = None  # a write may report that its index is gone
        monkeypatch.undo()
        with open_index(path) as fresh:
            if call in {"pages", "search", "filtered"}:
                assert isinstance(found, list)
                texts = [one.text for one in found]
                assert texts
                assert {text.split()[-2] for text in texts} <= {"20", "21"}
            assert answers(index) == answers(fresh)


@pytest.mark.parametrize("call", CALLS)
def test_an_index_made_again_with_other_settings_is_refused_by_name(
    tmp_path: Path, call: str
) -> None:
    path = tmp_path / "index"
    make(path, KINDS["dense"], seed=1)
    with DenseIndex.open(path) as index:
        index.search(queries(index, 0)[0])
        shutil.rmtree(path)
        DenseIndex.create(path, manifest=replace(DENSE_MANIFEST, fingerprint="e" * 64)).close()
        with pytest.raises(IndexMismatchError, match="open it again"):
            CALLS[call](index)
        shutil.rmtree(path)
        make(path, KINDS["both"], seed=1)
        with pytest.raises(IndexMismatchError, match="open it again"):
            CALLS[call](index)
    with open_index(path) as fresh:
        assert len(fresh.documents()) == 2


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("what", ["folder", "database"])
def test_nothing_is_found_in_a_deleted_index(tmp_path: Path, call: str, what: str) -> None:
    path = tmp_path / "index"
    make(path, KINDS["float16"], seed=1)
    with LateInteractionIndex.open(path) as index:
        index.search(queries(index, 0)[0])
        if what == "folder":
            shutil.rmtree(path)
        else:
            (path / "index.sqlite3").unlink()
        with pytest.raises(IndexNotFoundError, match="no index"):
            CALLS[call](index)
        assert path.exists() == (what == "database"), "a deleted index is not half made again"
    with pytest.raises(IndexNotFoundError, match="no index"):
        open_index(path)


def test_an_index_of_the_former_engine_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "shard").mkdir()
    (tmp_path / "shard" / "segments").mkdir()
    for opening in (
        lambda: open_index(tmp_path),
        lambda: LateInteractionIndex.open(tmp_path),
        lambda: DenseIndex.open(tmp_path),
    ):
        with pytest.raises(IndexFormatError, match=r"older.*again into a new folder"):
            opening()
    with pytest.raises(IndexStoreError, match="new or empty folder"):
        LateInteractionIndex.create(tmp_path, manifest=MANIFEST)
    assert [entry.name for entry in tmp_path.iterdir()] == ["shard"]


@pytest.mark.parametrize(
    ("version", "shard"), [(FORMAT_VERSION - 1, False), (1, True), (FORMAT_VERSION + 1, False)]
)
def test_another_format_says_how_to_go_on(tmp_path: Path, version: int, *, shard: bool) -> None:
    path = tmp_path / "index"
    make(path, KINDS["float16"], seed=1)
    with closing(sqlite3.connect(path / "index.sqlite3")) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    if shard:
        (path / "shard").mkdir()
    before = (path / "index.sqlite3").read_bytes()
    way_out = "again into a new folder" if version < FORMAT_VERSION else "Upgrade vdr-integrations"
    with pytest.raises(IndexFormatError, match=f"format version {version}.*{way_out}") as found:
        open_index(path)
    assert ("Upgrade" in str(found.value)) == (version > 2)
    assert (path / "index.sqlite3").read_bytes() == before
