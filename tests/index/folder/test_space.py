from __future__ import annotations

import gc
import multiprocessing
import os
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.index.folder.shelf import KINDS, add, answers, hit_keys, queries, vectors_of
from tests.index.quarters import search_quarters_in_two_stages
from tests.patience import HANG_S

from vdr_integrations.errors import IndexStoreError
from vdr_integrations.index import LateInteractionIndex, open_index
from vdr_integrations.index.verify import verify_index

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from tests.index.folder.shelf import Index, Kind

SUFFIXES = (".tokens", ".dense", ".lists", ".codebook")


def bytes_of(path: Path) -> int:
    return sum(entry.stat().st_size for entry in path.iterdir())


def fill(path: Path, kind: Kind, *, documents: int, pages: int, tokens: int) -> Index:
    index = kind.create(path)
    for seed in range(documents):
        add(index, f"{seed}.pdf", pages, seed=seed, tokens=tokens)
    return index


@pytest.mark.parametrize("name", KINDS)
def test_removing_half_of_the_pages_and_optimising_gives_half_of_the_space_back(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "index"
    with fill(path, KINDS[name], documents=20, pages=25, tokens=60) as index:
        whole = bytes_of(path)
        for seed in range(0, 20, 2):
            assert index.remove_document(f"{seed}.pdf")
        before = answers(index)
        index.optimize()
        # Dense vectors are small compared with the database, whose blocks stay half full.
        assert bytes_of(path) < (0.7 if name == "dense" else 0.6) * whole
        assert answers(index) == before
        with open_index(path) as fresh:
            assert answers(fresh) == before
            assert verify_index(fresh).problems == ()
            assert len(fresh.documents()) == 10
        half = bytes_of(path)
        index.optimize()
        assert bytes_of(path) <= half


@pytest.mark.parametrize("name", ["both", "dense"])
def test_a_closed_index_keeps_no_file_open(tmp_path: Path, name: str) -> None:
    path = tmp_path / "index"
    with fill(path, KINDS[name], documents=2, pages=2, tokens=4) as index:
        answers(index)
        assert files_open_in(path)
    gc.collect()
    assert files_open_in(path) == []
    with pytest.raises(IndexStoreError, match="is closed"):
        answers(index)  # it is still there


def files_open_in(folder: Path) -> list[str]:
    return [file.path for file in psutil.Process().open_files() if str(folder) in file.path]


def test_pages_removed_from_within_documents_give_their_space_back_too(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with fill(path, KINDS["both"], documents=4, pages=100, tokens=60) as index:
        whole = bytes_of(path)
        ids = index.page_ids({"metadata": {"parity": "odd"}})
        assert index.remove_pages(ids) == 200
        before = answers(index)
        index.optimize()
        assert bytes_of(path) < 0.6 * whole
        assert answers(index) == before
        assert verify_index(index).problems == ()


def test_a_large_index_gives_the_space_of_its_first_stage_back_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search_quarters_in_two_stages(monkeypatch)
    path = tmp_path / "index"
    with fill(path, KINDS["float16"], documents=6, pages=75, tokens=8) as index:
        assert isinstance(index, LateInteractionIndex)
        assert list(path.glob("*.codebook"))
        index.optimize()
        whole, lists = bytes_of(path), sum(one.stat().st_size for one in path.glob("*.lists"))
        for seed in (0, 2, 4):
            assert index.remove_document(f"{seed}.pdf")
        index.optimize()
        assert bytes_of(path) < 0.65 * whole
        assert sum(one.stat().st_size for one in path.glob("*.lists")) < lists
        assert verify_index(index).problems == ()
        for seed in (1, 3, 5):
            for number, query in enumerate(vectors_of(seed, 20, tokens=8)[0], start=1):
                (best,) = index.search(query, k=1)
                assert (best.source, best.page_number) == (f"{seed}.pdf", number)


def test_optimising_takes_a_share_of_the_time_that_writing_took(tmp_path: Path) -> None:
    """CPU time of the process, which other work on the machine does not change much."""
    begun = time.process_time()
    index = fill(tmp_path / "index", KINDS["float16"], documents=60, pages=10, tokens=300)
    writing = time.process_time() - begun
    for seed in range(0, 60, 2):
        index.remove_document(f"{seed}.pdf")
    begun = time.process_time()
    index.optimize()
    assert time.process_time() - begun < writing / 2


def search_until_told(path: Path, said: Connection) -> None:
    with open_index(path) as index:
        expected = [hit_keys(index.search(query, k=9)) for query in queries(index, 1, 3)]
        said.send(0)
        done = 0
        while not said.poll() or done < 5:
            found = [hit_keys(index.search(query, k=9)) for query in queries(index, 1, 3)]
            assert found == expected
            done += 1
    said.send(done)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_readers_go_on_while_an_index_is_optimised(tmp_path: Path) -> None:
    """Another process, and another object in a thread; their answers do not change."""
    path = tmp_path / "index"
    with fill(path, KINDS["both"], documents=12, pages=20, tokens=20) as index:
        for seed in range(0, 12, 2):
            index.remove_document(f"{seed}.pdf")
        context = multiprocessing.get_context("fork")
        own, other = context.Pipe()
        child = context.Process(target=search_until_told, args=(path, other))
        child.start()
        other.close()
        in_thread, at_thread = context.Pipe()
        failed: list[BaseException] = []

        def search() -> None:
            try:
                search_until_told(path, at_thread)
            except BaseException as error:  # noqa: BLE001  # looked at by the test
                failed.append(error)

        thread = threading.Thread(target=search)
        thread.start()
        try:
            for end in (own, in_thread):
                assert end.poll(HANG_S)
                assert end.recv() == 0
            whole = bytes_of(path)
            for round_number in range(3):
                index.optimize()
                # Replace documents that no question below finds, so that there is work again.
                add(index, "11.pdf", 20, seed=11, tokens=20 + round_number)
                index.remove_document("11.pdf")
            index.optimize()
            assert bytes_of(path) < 0.6 * whole
            for end in (own, in_thread):
                end.send("ended")
                assert end.poll(HANG_S)
                assert end.recv() >= 5
            child.join(HANG_S)
            assert child.exitcode == 0
        finally:
            child.kill()
            child.join()
            in_thread.close()  # this ends the thread too
            thread.join()
        assert failed == []


def test_leftovers_of_killed_writers_go_and_no_committed_page_does(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with fill(path, KINDS["both"], documents=3, pages=4, tokens=10) as index:
        before = answers(index)
        committed = {entry.name: entry.stat().st_size for entry in path.iterdir()}
    for suffix in SUFFIXES:
        (path / f"0123456789ab{suffix}").write_bytes(b"left over")
    for suffix in SUFFIXES[:2]:
        (grown,) = [one for one in path.glob(f"*{suffix}") if one.name in committed]
        with grown.open("ab") as file:
            file.write(b"behind what was committed")
    (path / "notes.txt").write_text("of somebody else")
    with open_index(path) as index:
        assert answers(index) == before
        assert verify_index(index).problems == ()
        index.clean_up()
        add(index, "new.pdf", 2, seed=7)
        assert index.remove_document("new.pdf")
        assert answers(index) == before
        index.optimize()
        assert answers(index) == before
        assert verify_index(index).problems == ()
    assert bytes_of(path) <= sum(committed.values()) + len("of somebody else")
    names = {entry.name for entry in path.iterdir()} - {"notes.txt", "writer.lock"}
    with open_index(path) as index:
        assert answers(index) == before
    assert len([name for name in names if name.endswith(SUFFIXES)]) == 2
    assert (path / "notes.txt").read_text() == "of somebody else"


@pytest.mark.parametrize("suffix", SUFFIXES[:2])
def test_a_file_that_is_too_short_closes_only_pages_that_it_lacks(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / "index"
    with fill(path, KINDS["both"], documents=3, pages=4, tokens=10) as index:
        whole = hit_keys(index.search(queries(index, 0)[0], filter={"source": "0.pdf"}))
    (file,) = path.glob(f"*{suffix}")
    os.truncate(file, file.stat().st_size - 8)
    with open_index(path) as index:
        found = hit_keys(index.search(queries(index, 0)[0], filter={"source": "0.pdf"}))
        assert found == whole
        assert len(verify_index(index).problems) == 2
        index.optimize()
        assert len(index.documents()) == 3
        assert index.remove_document("2.pdf")
        add(index, "2.pdf", 4, seed=2, tokens=10)
        assert verify_index(index).problems == ()
