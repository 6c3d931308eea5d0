"""Pages of a store at a URL that nothing needs, while others put and renew pages."""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from vdr_integrations.errors import PageStoreError
from vdr_integrations.pages import PageStore, StoreContents
from vdr_integrations.retrieval import unneeded_pages
from vdr_integrations.types import PageImage, PageRef

NEEDED = f"vdr-page:{'0' * 64}"
DAYS_AGO = datetime.now(UTC) - timedelta(days=2)


def page(shade: int) -> PageImage:
    return PageImage(Image.new("RGB", (28, 28), (shade, 0, 0)))


@pytest.fixture
def store() -> PageStore:
    return PageStore(f"memory://{secrets.token_hex(8)}/pages")


def objects(store: PageStore) -> dict[str, Any]:
    """The objects of the store, by their path there."""
    system, root = fsspec.url_to_fs(store.location)
    names: list[str] = system.find(root)
    return {name.removeprefix(f"{root}/"): system.store[name] for name in names}


def grow_old(store: PageStore, ref: PageRef | None = None) -> None:
    for name, found in objects(store).items():
        if ref is None or ref.sha256 in name:
            found.created = DAYS_AGO


def put_long_ago(store: PageStore, *shades: int) -> list[PageRef]:
    refs = [store.put(page(shade)) for shade in shades]
    for ref in refs:
        grow_old(store, ref)
    return refs


def before(
    monkeypatch: pytest.MonkeyPatch, method: str, place: str, act: Any, *, turn: int = 1
) -> None:
    """Let another process act before the first, or a later, request for a path with this text."""
    real, seen = getattr(MemoryFileSystem, method), list[str]()

    def later(self: MemoryFileSystem, path: str, *others: Any, **options: Any) -> Any:
        if place in path:
            seen.append(path)
            if len(seen) == turn:
                act()
        return real(self, path, *others, **options)

    monkeypatch.setattr(MemoryFileSystem, method, later)


def test_old_pages_that_nothing_needs_go_and_nothing_is_left_of_them(store: PageStore) -> None:
    gone, needed = put_long_ago(store, 1, 2)
    new = store.put(page(3))
    found = unneeded_pages(store, refs=[str(needed)])
    size_bytes = len(objects(store)[f"{gone.sha256[:2]}/{gone.sha256}.png"].getvalue())
    assert (found.refs, found.size_bytes) == ((gone,), size_bytes)
    assert (found.needed, found.young) == (1, 1)
    removed = found.remove()
    assert (removed.pages, removed.size_bytes) == (1, size_bytes)
    assert [ref in store for ref in (gone, needed, new)] == [False, True, True]
    assert not [name for name in objects(store) if gone.sha256 in name or "unfinished" in name]
    assert found.remove().pages == 0  # what is gone is gone


@pytest.mark.parametrize("again", ["put", "renew"])
def test_a_page_that_is_renewed_counts_as_new(store: PageStore, again: str) -> None:
    [ref] = put_long_ago(store, 1)
    found = unneeded_pages(store, refs=[NEEDED])
    assert found.refs == (ref,)
    if again == "put":
        store.put(page(1))
    else:
        store.renew(ref)
    assert unneeded_pages(store, refs=[NEEDED]).young == 1
    assert found.remove().pages == 0
    assert store.get(ref).ref == ref


RACES = {
    "before its age is read": ("info", "{page}", 1),
    "before its first age is read": ("info", "renewed/", 1),
    "before it is copied aside": ("cp_file", "{page}", 1),
    "before it is deleted": ("rm_file", "{page}", 1),
    "before its last age is read": ("info", "renewed/", 2),
}


@pytest.mark.parametrize("moment", RACES)
@pytest.mark.parametrize("again", ["put", "renew"])
def test_a_page_that_is_renewed_while_it_is_removed_stays(
    store: PageStore, monkeypatch: pytest.MonkeyPatch, moment: str, again: str
) -> None:
    [ref] = put_long_ago(store, 1)
    found = unneeded_pages(store, refs=[NEEDED])
    method, place, turn = RACES[moment]
    place = place.format(page=f"{ref.sha256[:2]}/{ref.sha256}.png")
    act = (lambda: store.put(page(1))) if again == "put" else (lambda: store.renew(ref))
    before(monkeypatch, method, place, act, turn=turn)
    assert found.remove().pages == 0
    assert store.get(ref).ref == ref
    assert store.contents().unfinished == 0


def test_a_page_that_is_put_once_it_was_deleted_is_written_again(
    store: PageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer comes after the last look at its age, and finds no page."""
    [ref] = put_long_ago(store, 1)
    found = unneeded_pages(store, refs=[NEEDED])
    before(monkeypatch, "rm_file", "renewed/", lambda: store.put(page(1)))
    found.remove()
    assert store.get(ref).ref == ref


def test_a_page_that_its_writer_has_seen_stays(
    store: PageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    [ref] = put_long_ago(store, 1)
    found = unneeded_pages(store, refs=[NEEDED])
    real = MemoryFileSystem.cat_file

    def read_then_remove(self: MemoryFileSystem, path: str, **options: Any) -> bytes:
        data: bytes = real(self, path, **options)
        found.remove()
        return data

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "cat_file", read_then_remove)
        store.put(page(1))
    assert store.get(ref).ref == ref


def test_two_who_remove_the_same_pages_do_not_disturb_each_other(
    store: PageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = put_long_ago(store, *range(6))
    found = [unneeded_pages(store, refs=[NEEDED]) for _ in range(2)]
    before(monkeypatch, "cp_file", refs[0].sha256, found[1].remove)
    found[0].remove()
    assert store.contents() == StoreContents(0, 0, 0, 0)
    assert objects(store) == {}


@pytest.mark.parametrize("method", ["cp_file", "info", "rm_file"])
def test_a_page_that_is_put_while_two_remove_it_stays(
    store: PageStore, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The other has just looked for the last time, and deletes what the writer has renewed."""
    [ref] = put_long_ago(store, 1)
    found, others = [unneeded_pages(store, refs=[NEEDED]) for _ in range(2)]

    def the_other_removes_and_a_writer_puts() -> None:
        with monkeypatch.context() as patch:
            before(patch, "rm_file", "renewed/", lambda: store.put(page(1)))
            others.remove()

    before(monkeypatch, method, f"/{ref.sha256}.png", the_other_removes_and_a_writer_puts)
    found.remove()
    assert store.get(ref).ref == ref
    assert store.contents().unfinished == 0


def test_no_page_is_lost_that_others_put_at_the_time(store: PageStore) -> None:
    """Writers put pages again and again while another thread removes all that are old."""
    refs = put_long_ago(store, *range(8))
    is_done = threading.Event()

    def remove_all() -> None:
        while not is_done.is_set():
            unneeded_pages(store, refs=[NEEDED]).remove()

    remover = threading.Thread(target=remove_all)
    remover.start()
    try:
        for turn in range(60):
            grow_old(store, refs[turn % len(refs)])
            store.put(page(turn % len(refs)))
    finally:
        is_done.set()
        remover.join()
    assert [store.get(ref).ref for ref in refs] == refs


def test_what_a_killed_removal_left_aside_is_put_back_by_the_next(
    store: PageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    [ref, other] = put_long_ago(store, 1, 2)
    found = unneeded_pages(store, refs=[str(other)])

    def die() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        real = MemoryFileSystem.rm_file

        def deleted_then_killed(self: MemoryFileSystem, path: str) -> None:
            real(self, path)
            die()

        patch.setattr(MemoryFileSystem, "rm_file", deleted_then_killed)
        with pytest.raises(KeyboardInterrupt):
            found.remove()
    assert ref not in store
    assert store.contents().unfinished == 1
    unneeded_pages(store, refs=[str(other)]).remove()
    assert ref not in store  # whoever is at work has an hour
    grow_old(store)
    assert unneeded_pages(store, refs=[str(other)]).remove().unfinished == 1
    assert store.get(ref).ref == ref
    assert store.contents().unfinished == 0


def test_the_clock_is_that_of_the_server(store: PageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing may be written, it can still be looked at, with the clock of this machine."""
    [ref] = put_long_ago(store, 1)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("read only")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", refuse)
    monkeypatch.setattr(MemoryFileSystem, "cp_file", refuse)
    found = unneeded_pages(store, refs=[NEEDED])
    assert found.refs == (ref,)
    with pytest.raises(PageStoreError, match="read only"):
        found.remove()
    assert ref in store


def test_other_objects_are_never_touched(store: PageStore) -> None:
    [gone] = put_long_ago(store, 1)
    system, root = fsspec.url_to_fs(store.location)
    others = ["notes.txt", f"zz/{gone.sha256}.png", f"{gone.sha256[:2]}/notes.png"]
    others += [f"{gone.sha256[:2]}/{gone.sha256}.jpg", "unfinished/notes.txt", "renewed/notes.txt"]
    for name in others:
        system.pipe_file(f"{root}/{name}", b"mine")
    grow_old(store)
    removed = unneeded_pages(store, refs=[NEEDED]).remove()
    assert (removed.pages, removed.unfinished) == (1, 0)
    assert set(objects(store)) == set(others)


def test_a_store_that_does_not_exist_holds_nothing_to_remove(store: PageStore) -> None:
    found = unneeded_pages(store, refs=[NEEDED])
    assert (found.refs, found.needed, found.remove().pages) == ((), 0, 0)
    assert objects(store) == {}
