from __future__ import annotations

import multiprocessing
import os
import random
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.index.folder.shelf import KINDS, add, hit_keys, queries
from tests.index.late_interaction.pages import MANIFEST, document, page_records
from tests.patience import HANG_S

from vdr_integrations.index import LateInteractionIndex
from vdr_integrations.index.verify import verify_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.synchronize import Event

    from numpy.typing import NDArray

PAGES = 4
SOURCES = 6
VERSIONS = 12
EYE = np.eye(16, dtype=np.float32)


def vectors(source: int, version: int) -> NDArray[np.float32]:
    """A page that has a full score only for the question of this version."""
    page = np.zeros((3, 16), np.float32)
    page[:, version % VERSIONS] = 0.8
    page[:, VERSIONS + source % 4] = 0.6
    return page


def put(index: LateInteractionIndex, source: int, version: int) -> None:
    records = [
        replace(record, text=f"version{version % VERSIONS} of a page")
        for record in page_records(*range(1, PAGES + 1), grid=None)
    ]
    index.add_document(
        document(f"{source}.pdf", total_pages=PAGES),
        records,
        [vectors(source, version)] * PAGES,
        metadata={"version": version},
    )


def check_answer(index: LateInteractionIndex, chance: random.Random) -> None:
    """Hits of one search are of one state: each document in one version, complete, and scored."""
    query = EYE[[chance.randrange(VERSIONS)]]
    chosen = chance.choice([None, {"source": f"{chance.randrange(SOURCES)}.pdf"}])
    hits = index.search(query, k=PAGES * SOURCES, filter=chosen, exhaustive=chance.random() < 0.5)
    asked = chance.randrange(VERSIONS)
    of_words = index.search_text(f"version{asked}", k=PAGES * SOURCES, filter=chosen)
    assert {hit.metadata["version"] % VERSIONS for hit in of_words} <= {asked}
    assert len(of_words) == PAGES * len({hit.source for hit in of_words}), "pages are missing"
    versions: dict[str, set[int]] = {}
    pages: dict[str, list[int]] = {}
    for hit in hits:
        version = hit.metadata["version"]
        versions.setdefault(hit.source, set()).add(version)
        pages.setdefault(hit.source, []).append(hit.page_number)
        rows = vectors(int(hit.source.removesuffix(".pdf")), version).astype(np.float16)
        expected = float((query @ rows.astype(np.float32).T).max(axis=1).sum())
        assert abs(hit.score - expected) < 1e-4, "a score of another version"
    assert all(len(found) == 1 for found in versions.values()), versions
    for found in pages.values():
        assert sorted(found) == list(range(1, PAGES + 1)), "pages of a document are missing"
    if chosen is None:
        # Documents 0 and 1 are replaced and never removed.
        assert {"0.pdf", "1.pdf"} <= set(pages)
    ids = [hit.page_id for hit in hits[:2]]
    for page in index.get(ids, with_vectors=True):
        assert page.vectors is not None
        rows = vectors(int(page.source.removesuffix(".pdf")), page.metadata["version"])
        assert np.array_equal(page.vectors, rows.astype(np.float16).astype(np.float32))


def read(path: Path, seed: int, rounds: int, seconds: float, said: Connection) -> None:
    """A minimum of rounds, for a minimum of time; then send how many rounds there were."""
    chance, done, begun = random.Random(seed), 0, time.monotonic()
    with LateInteractionIndex.open(path) as index:
        while done < rounds or time.monotonic() - begun < seconds:
            check_answer(index, chance)
            done += 1
    said.send(done)


def write(path: Path, seed: int, ended: Event, said: Connection) -> None:
    """Replace documents until ``ended`` is set; the second writer optimizes too."""
    chance, done = random.Random(seed), 0
    with LateInteractionIndex.open(path, wait_s=HANG_S) as index:
        while not ended.is_set() or done < 10:
            source = chance.randrange(SOURCES)
            if seed == 1 and done % 5 == 4:
                index.optimize()
            elif seed == 1 and source > 1 and done % 5 == 2:
                index.remove_document(f"{source}.pdf")
            else:
                put(index, source, chance.randrange(10**6))
            done += 1
    said.send(done)


@pytest.mark.parametrize(
    ("start", "rounds", "seconds"),
    [
        pytest.param("fork", 40, 0, marks=pytest.mark.skipif("os.name == 'nt'")),
        pytest.param("spawn", 200, 60, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_eight_processes_read_one_state_each_time_while_two_write(
    tmp_path: Path, start: Any, rounds: int, seconds: float
) -> None:
    path = tmp_path / "index"
    context: Any = multiprocessing.get_context(start)
    with LateInteractionIndex.create(path, manifest=MANIFEST) as index:
        for source in range(SOURCES):
            put(index, source, source)
    ended, found = context.Event(), list[Connection]()
    processes: list[Any] = []
    for number in range(10):
        end, said = context.Pipe(duplex=False)
        if number < 2:
            child = context.Process(target=write, args=(path, number, ended, said))
        else:
            child = context.Process(target=read, args=(path, number, rounds, seconds, said))
        child.start()
        said.close()
        found.append(end)
        processes.append(child)
    try:
        searches = [said_by(end, 5 * HANG_S + seconds) for end in found[2:]]
        ended.set()
        commits = [said_by(end, 5 * HANG_S) for end in found[:2]]
    finally:
        for child in processes:
            child.kill()
            child.join()
    assert min(searches) >= rounds
    assert min(commits) >= 10
    with LateInteractionIndex.open(path) as index:
        assert verify_index(index).problems == ()
        check_answer(index, random.Random(0))


def said_by(end: Connection, patience: float) -> int:
    assert end.poll(patience), "a process hangs"
    return end.recv()  # EOFError: the process failed; its output says why


@pytest.fixture
def searched(tmp_path: Path) -> Iterator[LateInteractionIndex]:
    with KINDS["both"].create(tmp_path / "index") as made:
        assert isinstance(made, LateInteractionIndex)
        for seed in range(4):
            add(made, f"{seed}.pdf", 5, seed=seed)
        made.search(queries(made, 0)[0])
        yield made


def in_child(pipe: int, index: LateInteractionIndex, expected: list[list[object]]) -> None:
    found = [hit_keys(index.search(query, k=6)) for query in queries(index, 0, 1)]
    add(index, f"of child {os.getpid()}.pdf", 1, seed=9)
    os.write(pipe, b"right" if found == expected else b"wrong")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_forked_children_search_and_write_what_their_parent_has_open(
    searched: LateInteractionIndex,
) -> None:
    """Fork while threads of the parent search and write."""
    index = searched
    expected = [hit_keys(index.search(query, k=6)) for query in queries(index, 0, 1)]
    ended, failed = threading.Event(), list[BaseException]()

    def search() -> None:
        try:
            while not ended.is_set():
                hit_keys(index.search(queries(index, 0)[0], k=6))
        except BaseException as error:  # noqa: BLE001  # looked at by the test
            failed.append(error)

    def update() -> None:
        try:
            while not ended.is_set():
                add(index, "of a thread.pdf", 1, seed=9)
        except BaseException as error:  # noqa: BLE001  # looked at by the test
            failed.append(error)

    add(index, "of a thread.pdf", 1, seed=9)
    expected = [hit_keys(index.search(query, k=6)) for query in queries(index, 0, 1)]
    threads = [threading.Thread(target=work) for work in (search, search, update)]
    for thread in threads:
        thread.start()
    context = multiprocessing.get_context("fork")
    try:
        for _ in range(6):
            end, pipe = os.pipe()
            child = context.Process(target=in_child, args=(pipe, index, expected))
            child.start()
            os.close(pipe)
            child.join(HANG_S)
            assert child.exitcode == 0, "the child hangs or failed"
            assert os.read(end, 10) == b"right"
            os.close(end)
            index.remove_document(f"of child {child.pid}.pdf")
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert verify_index(index).problems == ()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_waits_for_a_transaction_of_another_thread(
    searched: LateInteractionIndex,
) -> None:
    """Otherwise the child would believe for ever that it holds the lock of its parent."""
    from vdr_integrations.index.folder.database import writing

    is_inside, is_forking, has_forked = threading.Event(), threading.Event(), threading.Event()
    was_cut_off: list[bool] = []

    def transact() -> None:
        with writing(Path(searched.path)):  # pyright: ignore[reportArgumentType]  # a folder
            is_inside.set()
            assert is_forking.wait(HANG_S)
            # Enough time for a fork that does not wait.
            was_cut_off.append(has_forked.wait(0.5))

    thread = threading.Thread(target=transact)
    thread.start()
    assert is_inside.wait(HANG_S)
    # The last registered hook is called first before a fork, and last after it.
    os.register_at_fork(before=is_forking.set, after_in_parent=has_forked.set)
    child = multiprocessing.get_context("fork").Process(target=searched.documents)
    child.start()
    child.join(HANG_S)
    thread.join()
    assert child.exitcode == 0
    assert was_cut_off == [False]
