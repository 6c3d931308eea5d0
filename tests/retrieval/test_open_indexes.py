"""One open index for all who name the same place, and how it recovers when something goes wrong."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import threading
import weakref
from typing import TYPE_CHECKING

import pytest
from tests.patience import HANG_S

from vdr_integrations import MultiVectorEncoder, PageSearcher
from vdr_integrations.errors import (
    IndexMismatchError,
    IndexNotFoundError,
    IndexStoreError,
    OptionError,
)
from vdr_integrations.index import LateInteractionIndex, QdrantServer, sync_index
from vdr_integrations.retrieval import open_indexes
from vdr_integrations.retrieval.open_indexes import SharedIndex, location_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("seen_pages")

QUESTION = "Costs fell"


def test_all_who_name_a_place_share_one_index(
    late_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = SharedIndex(late_folder), SharedIndex(str(late_folder))
    index = first.get()
    assert second.get() is index
    monkeypatch.chdir(late_folder.parent)
    assert SharedIndex("ix").get() is index
    first.close()
    assert second.get() is index  # somebody still uses it
    assert index.count_pages() == 5
    second.close()
    with pytest.raises(IndexStoreError, match="closed"):
        index.count_pages()
    assert second.get().count_pages() == 5


def test_an_index_that_was_given_open_stays_open(late_folder: Path) -> None:
    with LateInteractionIndex.open(late_folder) as index:
        given = SharedIndex(index)
        assert given.get() is index
        given.close()
        assert index.count_pages() == 5


def test_an_index_is_let_go_with_the_last_who_uses_it(late_folder: Path) -> None:
    shared, other = SharedIndex(late_folder), SharedIndex(late_folder)
    index = weakref.ref(shared.get())
    assert other.get() is index()
    del shared
    gc.collect()
    assert index() is not None
    del other
    gc.collect()
    assert index() is None
    assert SharedIndex(late_folder).get().count_pages() == 5


def test_threads_open_an_index_once_and_wait_for_no_other_place(
    late_folder: Path, dense_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    opened: list[object] = []
    really_open = open_indexes.open_index

    def slow(place: Path) -> object:
        opened.append(place)
        if place == late_folder.resolve():
            entered.set()
            assert go_on.wait(HANG_S)
        return really_open(place)

    monkeypatch.setattr(open_indexes, "open_index", slow)
    found: list[object] = []

    def get(one: SharedIndex) -> None:
        found.append(one.get())

    shared = [SharedIndex(late_folder) for _ in range(4)]
    threads = [threading.Thread(target=get, args=(one,)) for one in shared]
    for thread in threads:
        thread.start()
    assert entered.wait(HANG_S)
    assert SharedIndex(dense_folder).get().count_pages() == 5  # while the other one still opens
    go_on.set()
    for thread in threads:
        thread.join(HANG_S)
    assert len(found) == 4
    assert len(set(map(id, found))) == 1
    assert opened.count(late_folder.resolve()) == 1


def test_an_index_that_could_not_be_opened_is_tried_again(
    late_folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "ix"
    searcher = PageSearcher(place)
    for _ in range(2):
        with pytest.raises(IndexNotFoundError):
            searcher.search(QUESTION)
    shutil.copytree(late_folder, place)
    assert len(searcher.search(QUESTION)) == 5


def test_an_index_that_somebody_closed_is_opened_again(late_folder: Path) -> None:
    searcher, other = PageSearcher(late_folder), PageSearcher(late_folder)
    hits = searcher.search(QUESTION)
    other.index.close()
    assert searcher.search(QUESTION) == hits


def test_an_index_that_was_made_again_with_other_settings_is_opened_again(
    late: MultiVectorEncoder, docs: Path, tmp_path: Path
) -> None:
    place = tmp_path / "ix"

    def make(encoder: MultiVectorEncoder) -> None:
        with LateInteractionIndex.create(place, encoder=encoder) as index:
            sync_index(index, encoder, [docs])

    make(late)
    searcher = PageSearcher(place)
    assert len(searcher.search(QUESTION)) == 5
    shutil.rmtree(place)
    make(MultiVectorEncoder.load("nano-colqwen2", device="cpu", max_visual_tokens=64))
    with pytest.raises(IndexMismatchError):
        searcher.search(QUESTION)
    assert len(searcher.search(QUESTION)) == 5
    assert searcher.index.manifest.max_visual_tokens == 64


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_opens_its_own_even_while_a_thread_of_its_parent_opens_it(
    late_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = SharedIndex(late_folder)
    index = shared.get()
    entered, go_on, parent = threading.Event(), threading.Event(), os.getpid()
    really_open = open_indexes.open_index

    def slow(place: Path) -> object:
        if os.getpid() == parent:
            entered.set()
            assert go_on.wait(HANG_S)
        return really_open(place)

    monkeypatch.setattr(open_indexes, "open_index", slow)
    index.close()
    thread = threading.Thread(target=SharedIndex(late_folder).get)
    thread.start()
    assert entered.wait(HANG_S)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(HANG_S)
        try:
            other = SharedIndex(late_folder)
            own = other.get()
            is_own = own is not index and own.count_pages() == 5 and shared.get() is own
            os._exit(0 if is_own else 3)
        except BaseException:  # noqa: BLE001  # nothing of the test runs on in the child
            os._exit(4)
    ended = os.waitpid(child, 0)[1]
    go_on.set()
    thread.join(HANG_S)
    assert ended == 0


@pytest.mark.parametrize("given", ["", 3, None, "http://localhost:6333", "https://host/"])
def test_what_names_no_place_is_refused(given: object) -> None:
    with pytest.raises(OptionError, match="index"):
        location_of(given)


def test_a_url_names_a_collection() -> None:
    expected = QdrantServer(collection="pages", url="https://example.org:6333")
    assert location_of("https://example.org:6333/pages") == expected
