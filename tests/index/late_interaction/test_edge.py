"""What holds of an index in a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from tests.index.late_interaction.pages import MANIFEST, Library, document, page_records, unit_rows
from tests.patience import HANG_S

from vdr_integrations.errors import (
    IndexFormatError,
    IndexLockedError,
    IndexNotFoundError,
    IndexStoreError,
    MissingExtraError,
)
from vdr_integrations.index import LateInteractionIndex
from vdr_integrations.index.late_interaction import edge_process
from vdr_integrations.index.late_interaction.edge_messages import receive
from vdr_integrations.index.late_interaction.edge_shard import EdgeShard
from vdr_integrations.index.late_interaction.filters import Where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def index(tmp_path: Path) -> Iterator[LateInteractionIndex]:
    with LateInteractionIndex.create(tmp_path / "index", manifest=MANIFEST) as made:
        yield made


def test_a_folder_that_is_open_is_refused_until_it_is_closed(index: LateInteractionIndex) -> None:
    with pytest.raises(IndexLockedError, match="open already"):
        LateInteractionIndex.open(index.path)
    script = (
        "import sys; from vdr_integrations.index import LateInteractionIndex\n"
        "from vdr_integrations.errors import IndexLockedError\n"
        "try:\n    LateInteractionIndex.open(sys.argv[1])\n"
        "except IndexLockedError as error:\n    print(error)"
    )
    run = [sys.executable, "-c", script, str(index.path)]
    found = subprocess.run(run, capture_output=True, text=True, check=True, timeout=HANG_S)
    assert "open already" in found.stdout
    index.close()
    LateInteractionIndex.open(index.path).close()


def test_an_index_that_nobody_holds_any_more_is_closed(tmp_path: Path) -> None:
    LateInteractionIndex.create(tmp_path / "index", manifest=MANIFEST)
    LateInteractionIndex.open(tmp_path / "index").close()


def test_a_forked_process_is_refused_and_the_owner_goes_on(index: LateInteractionIndex) -> None:
    engine: Any = index._engine
    engine._owner += 1  # as a forked process would see it
    with pytest.raises(IndexStoreError, match="forked"):
        index.documents()
    engine._owner = os.getpid()
    assert index.documents() == []


def test_an_index_is_not_made_among_other_files_or_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(IndexFormatError, match=r"a\.txt"):
        LateInteractionIndex.create(tmp_path, manifest=MANIFEST)
    with pytest.raises(IndexFormatError, match="is a file"):
        LateInteractionIndex.create(tmp_path / "a.txt", manifest=MANIFEST)
    with pytest.raises(IndexNotFoundError):
        LateInteractionIndex.open(tmp_path / "a.txt")


def test_what_a_killed_create_left_is_made_again(tmp_path: Path) -> None:
    unfinished = tmp_path / "index" / "shard.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "edge_config.json").write_text("{}")
    with pytest.raises(IndexNotFoundError):
        LateInteractionIndex.open(tmp_path / "index")
    with LateInteractionIndex.create(tmp_path / "index", manifest=MANIFEST) as made:
        assert made.documents() == []


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 1000)


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\x3c" * min(path.stat().st_size, 64))


@pytest.mark.parametrize("damage", [cut_short, overwrite])
@pytest.mark.parametrize(
    "pattern",
    [
        "edge_config.json",
        "segments/*/segment.json",
        "segments/*/vector_storage-tokens/vectors/chunk_0.mmap",
        "segments/*/vector_storage-tokens/offsets/chunk_0.mmap",
        "segments/*/payload_storage/page_0.dat",
    ],
)
def test_a_damaged_folder_never_gives_a_wrong_answer(
    index: LateInteractionIndex, pattern: str, damage: Callable[[Path], None]
) -> None:
    library = Library(index)
    library.add("a.pdf", 6)
    query = unit_rows(3)
    expected = index.search(query)
    index.close()
    (path,) = (Path(index.path) / "shard").glob(pattern)
    damage(path)
    try:
        with LateInteractionIndex.open(index.path) as opened:
            found = opened.search(query)
    except IndexStoreError:
        return
    assert found == expected  # made good from the engine's log


@pytest.mark.skipif(sys.platform == "win32", reason="SIGSTOP")
def test_other_threads_run_while_the_engine_searches(index: LateInteractionIndex) -> None:
    index.add_document(document("a.pdf"), page_records(1), [unit_rows(8)])
    asked, found = threading.Event(), list[Any]()
    engine: Any = index._engine

    def wait_for_answer(pipe: Any) -> Any:
        asked.set()
        return receive(pipe)

    def search() -> None:
        found.extend(engine.query(unit_rows(3), limit=5, where=Where(), recall=None, exact=True))

    searching = threading.Thread(target=search, daemon=True)
    with mock.patch.object(edge_process, "receive", wait_for_answer):
        os.kill(engine._process.pid, signal.SIGSTOP)  # a search that takes for ever
        try:
            searching.start()
            assert asked.wait(HANG_S)
            assert found == []
        finally:
            os.kill(engine._process.pid, signal.SIGCONT)
        searching.join(HANG_S)
    assert len(found) == 1


def test_a_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "qdrant_edge", None)
    with pytest.raises(MissingExtraError, match=r"vdr-integrations\[late-interaction\]"):
        EdgeShard.load(str(tmp_path))
