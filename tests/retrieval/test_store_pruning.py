"""Pages of a store that nothing needs."""

from __future__ import annotations

import math
import os
import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from qdrant_client import QdrantClient
from tests.broken_stores import BROKEN
from tests.unprivileged import as_nobody, let_nobody_in

from vdr_integrations.errors import (
    IndexFormatError,
    IndexNotFoundError,
    IndexStoreError,
    OptionError,
    PageStoreError,
)
from vdr_integrations.index import (
    DenseIndex,
    DocumentRecord,
    FileState,
    LateInteractionIndex,
    Manifest,
    PageRecord,
    QdrantServer,
)
from vdr_integrations.pages import PageStore
from vdr_integrations.retrieval import unneeded_pages
from vdr_integrations.types import PageImage, PageRef

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("seen_pages")

DIMENSION = 8
MANIFEST = Manifest("f" * 64, "some/model", None, DIMENSION, 16)
FILE = FileState("0" * 64, 1, 2, 3)


def page(shade: int) -> PageImage:
    return PageImage(Image.new("RGB", (28, 28), (shade, 0, 0)))


def put_long_ago(store: PageStore, *shades: int) -> list[PageRef]:
    """Pages that were put two days ago."""
    refs = [store.put(page(shade)) for shade in shades]
    for ref in refs:
        grow_old(store.path(ref), hours=48)
    return refs


def grow_old(path: Path, *, hours: float) -> None:
    then = path.stat().st_mtime - 3600 * hours
    os.utime(path, (then, then))


def fill(index: DenseIndex | LateInteractionIndex, name: str, refs: list[PageRef]) -> None:
    rows = np.ones((len(refs), DIMENSION), np.float32) / np.float32(math.sqrt(DIMENSION))
    index.add_document(
        DocumentRecord(name, FILE, len(refs)),
        [PageRecord(n, str(n), str(ref)) for n, ref in enumerate(refs, start=1)],
        rows if isinstance(index, DenseIndex) else [row[None] for row in rows],
    )


def dense_index(path: Path, refs: list[PageRef]) -> Path:
    with DenseIndex.create(path, manifest=MANIFEST) as index:
        fill(index, "a.pdf", refs)
    return path


def test_pages_that_an_index_or_a_list_needs_stay_and_others_go(
    page_store: PageStore, tmp_path: Path
) -> None:
    dense, late, server, listed, gone = put_long_ago(page_store, 1, 2, 3, 4, 5)
    folder = dense_index(tmp_path / "dense", [dense])
    client = QdrantClient(":memory:")
    place = QdrantServer("pages", client=client)
    with LateInteractionIndex.create(place, manifest=MANIFEST) as on_server:
        fill(on_server, "c.pdf", [server])
    with LateInteractionIndex.create(tmp_path / "late", manifest=MANIFEST) as opened:
        fill(opened, "b.pdf", [late])
        found = unneeded_pages(indexes=[folder, opened, place], refs=[str(listed)])
        assert not opened.is_closed
    client.close()
    size_bytes = page_store.path(gone).stat().st_size
    assert (found.refs, found.size_bytes) == ((gone,), size_bytes)
    assert (found.needed, found.young) == (4, 0)
    assert gone in page_store
    removed = found.remove()
    assert (removed.pages, removed.size_bytes) == (1, size_bytes)
    assert [ref in page_store for ref in (dense, late, server, listed, gone)] == [True] * 4 + [
        False
    ]


def test_new_pages_stay_for_the_index_that_will_name_them(page_store: PageStore) -> None:
    old, needed = put_long_ago(page_store, 1, 2)
    new = page_store.put(page(3))
    found = unneeded_pages(refs=[str(needed)])
    assert (found.refs, found.young) == ((old,), 1)
    assert unneeded_pages(refs=[str(needed)], keep_hours=49).refs == ()
    grow_old(page_store.path(new), hours=1)
    assert set(unneeded_pages(refs=[str(needed)], keep_hours=0.5).refs) == {old, new}


def test_a_page_that_is_put_between_search_and_removal_stays(page_store: PageStore) -> None:
    again, gone, needed = put_long_ago(page_store, 1, 2, 3)
    found = unneeded_pages(refs=[str(needed)], keep_hours=0)
    assert set(found.refs) == {again, gone}
    page_store.put(page(1))
    put_meanwhile = page_store.put(page(4))
    assert found.remove().pages == 1
    assert again in page_store
    assert put_meanwhile in page_store
    assert gone not in page_store
    assert found.remove().pages == 0  # what is gone is gone


def test_a_page_that_is_renewed_at_the_last_moment_stays(
    page_store: PageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer renews the page after its age was read, and before it is removed."""
    again, needed = put_long_ago(page_store, 1, 2)
    found = unneeded_pages(refs=[str(needed)])
    path = page_store.path(again)
    real = type(path).replace

    def replace(self: Path, target: Path) -> Path:
        if self == path:
            page_store.renew(again)
        return real(self, target)

    monkeypatch.setattr(type(path), "replace", replace)
    assert found.remove().pages == 0
    assert page_store.get(again).ref == again


@pytest.mark.parametrize("renewed", [True, False])
def test_a_removal_that_was_killed_is_ended_by_the_next_who_writes(
    page_store: PageStore, monkeypatch: pytest.MonkeyPatch, *, renewed: bool
) -> None:
    (ref,) = put_long_ago(page_store, 1)
    path = page_store.path(ref)
    move = type(path).replace

    def die(self: Path, target: Path) -> Path:
        if renewed:
            page_store.renew(ref)
        move(self, target)
        raise KeyboardInterrupt

    found = unneeded_pages(page_store, indexes=[], refs=[str(page(9).ref)])
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "replace", die)
        with pytest.raises(KeyboardInterrupt):
            found.remove()
    assert ref not in page_store
    page_store.put(page(2))
    assert (ref in page_store) is renewed
    assert page_store.contents().unfinished == 0


def test_an_ingest_renews_its_pages_before_the_index_names_them(
    page_store: PageStore, tmp_path: Path
) -> None:
    from vdr_integrations.index.sync.page_ingest import GivenPage
    from vdr_integrations.retrieval import EncoderOptions, PageSearcher

    taken, needed = put_long_ago(page_store, 1, 2)
    found = unneeded_pages(refs=[str(needed)])
    options = EncoderOptions(model="nano-colqwen2", device="cpu", dtype="float32")
    with PageSearcher(tmp_path / "ix", encoder=options) as searcher:
        searcher.create()
        searcher.add_pages([GivenPage("a", 1, PageRecord(1, "1", str(taken)))])
    assert found.refs == (taken,)
    assert found.remove().pages == 0
    assert taken in page_store


def test_other_files_are_never_touched(page_store: PageStore) -> None:
    gone, needed = put_long_ago(page_store, 1, 2)
    shard = page_store.path(gone).parent
    elsewhere = page_store.root / "zz"
    elsewhere.mkdir()
    others = [
        page_store.root / "notes.txt",
        page_store.root / page_store.path(gone).name,
        shard / "notes.png",
        shard / f"{gone.sha256}.jpg",
        elsewhere / page_store.path(gone).name,
        page_store.root / "unfinished" / "notes.txt",
    ]
    for path in others:
        path.write_text("mine")
        grow_old(path, hours=1000)
    abandoned = page_store.root / "unfinished" / f"{gone.sha256}.abc.tmp"
    abandoned.write_bytes(b"half a page")
    grow_old(abandoned, hours=2)
    removed = unneeded_pages(refs=[str(needed)]).remove()
    assert (removed.pages, removed.unfinished, removed.unfinished_bytes) == (1, 1, 11)
    assert [path.read_text() for path in others] == ["mine"] * len(others)
    assert not abandoned.exists()


@pytest.mark.parametrize("empty", ["nothing", "an empty list", "an empty index"])
def test_it_refuses_to_remove_everything(page_store: PageStore, tmp_path: Path, empty: str) -> None:
    put_long_ago(page_store, 1)
    indexes: list[Any] = []
    if empty == "an empty index":
        DenseIndex.create(tmp_path / "ix", manifest=MANIFEST).close()
        indexes = [tmp_path / "ix"]
    with pytest.raises(OptionError, match="all pages of"):
        unneeded_pages(indexes=indexes, refs=[])
    assert page_store.contents().pages == 1


def test_an_index_that_cannot_be_read_is_an_error(page_store: PageStore, tmp_path: Path) -> None:
    (needed,) = put_long_ago(page_store, 1)
    folder = dense_index(tmp_path / "ix", [needed])
    with pytest.raises(IndexNotFoundError):
        unneeded_pages(indexes=[folder, tmp_path / "none"])
    with pytest.raises(IndexStoreError):
        unneeded_pages(indexes=[QdrantServer("none", client=QdrantClient(":memory:"))])
    with sqlite3.connect(folder / "index.sqlite3") as database:
        database.execute("UPDATE documents SET record = '{}'")
    database.close()
    with pytest.raises(IndexFormatError, match="altered"):
        unneeded_pages(indexes=[folder], refs=[str(needed)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"refs": ["vdr-page:0"]}, "reference 1 of the list"),
        ({"refs": "vdr-page:0"}, "refs must be a list"),
        ({"indexes": "my-index"}, "indexes must be a list"),
        ({"keep_hours": -1}, "keep_hours=-1"),
        ({"keep_hours": math.nan}, "keep_hours=nan"),
    ],
)
def test_wrong_options_are_refused(
    page_store: PageStore, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        unneeded_pages(**options)


def test_a_store_that_does_not_exist_holds_nothing_to_remove(page_store: PageStore) -> None:
    found = unneeded_pages(refs=[str(page(1).ref)])
    assert (found.refs, found.needed, found.remove().pages) == ((), 0, 0)
    assert not page_store.root.exists()


@pytest.mark.parametrize("kind", BROKEN)
def test_a_store_that_cannot_be_read_is_an_error(tmp_path: Path, kind: str) -> None:
    store = PageStore(BROKEN[kind](tmp_path))
    with pytest.raises(PageStoreError, match="VDR_PAGE_STORE"):
        unneeded_pages(store, refs=[str(page(1).ref)])


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_a_store_that_cannot_be_changed_can_be_looked_at(tmp_path: Path) -> None:
    store = PageStore(tmp_path / "store")
    kept, unneeded = put_long_ago(store, 1, 2)
    let_nobody_in(store.root)
    folders = [store.root, *(path for path in store.root.iterdir() if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        with as_nobody():
            found = unneeded_pages(store, refs=[str(kept)])
            assert found.refs == (unneeded,)
            with pytest.raises(PageStoreError, match="Permission denied"):
                found.remove()
    finally:
        for folder in folders:
            folder.chmod(0o755)
