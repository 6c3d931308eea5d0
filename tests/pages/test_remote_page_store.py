"""Page stores at URLs: those in memory, and those of a kind that has no whole writes."""

from __future__ import annotations

import os
import pickle
import re
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image
from tests.patience import HANG_S

from vdr_integrations.errors import (
    MissingExtraError,
    OptionError,
    PageReferenceError,
    PageStoreError,
)
from vdr_integrations.pages import PageStore, StoreContents
from vdr_integrations.types import PageImage

if TYPE_CHECKING:
    from collections.abc import Callable


class Shelf(LocalFileSystem):
    """Files of this machine behind a URL, as servers of files have them."""

    protocol = "shelf"

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        return str(super()._strip_protocol(str(path).removeprefix("shelf://")))


fsspec.register_implementation("shelf", Shelf, clobber=True)


def page(shade: int = 200) -> PageImage:
    image = Image.new("RGB", (56, 84), (shade, 30, 40))
    image.putpixel((3, 5), (1, 2, 3))
    return PageImage(image)


@pytest.fixture(params=["memory", "shelf"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "shelf":
        return f"shelf://{tmp_path}/pages"
    return f"memory://{secrets.token_hex(8)}/pages"


@pytest.fixture
def store(url: str) -> PageStore:
    return PageStore(url)


def files(store: PageStore) -> dict[str, bytes]:
    """What lies in the store, by its path there."""
    system, root = fsspec.url_to_fs(store.location)
    found: list[str] = system.find(root)
    return {path.removeprefix(f"{root}/"): system.cat_file(path) for path in found}


def alter(store: PageStore, name: str, data: bytes) -> None:
    system, root = fsspec.url_to_fs(store.location)
    system.pipe_file(f"{root}/{name}", data)


def test_a_stored_page_comes_back_pixel_for_pixel(store: PageStore) -> None:
    assert page().ref not in store
    ref = store.put(page())
    assert ref == page().ref
    assert ref in store
    assert str(ref) in store
    for name in (ref, str(ref)):
        assert store.get(name).image.tobytes() == page().image.tobytes()
    assert store.is_intact(ref)


def test_a_page_lies_where_that_of_a_folder_lies_and_is_stored_once(
    store: PageStore, tmp_path: Path
) -> None:
    ref = store.put(page())
    folder = PageStore(tmp_path / "folder")
    folder.put(page())
    name = f"{ref.sha256[:2]}/{ref.sha256}.png"
    stored = files(store)
    assert stored[name] == folder.path(ref).read_bytes()
    store.put(page())
    assert files(store) == stored
    assert store.place(ref) == f"{store.location}/{name}"
    assert folder.place(ref) == folder.path(ref)
    assert store.contents() == StoreContents(1, len(stored[name]), 0, 0)


def test_a_folder_that_was_copied_to_a_url_is_a_store_there(
    store: PageStore, tmp_path: Path
) -> None:
    folder = PageStore(tmp_path / "folder")
    refs = [folder.put(page(shade)) for shade in (1, 2, 3)]
    system, root = fsspec.url_to_fs(store.location)
    system.put(str(folder.root), root, recursive=True)
    assert [store.get(ref).ref for ref in refs] == refs
    assert store.contents().pages == 3


@pytest.mark.parametrize("damage", ["other", "cut", "empty", "text"])
def test_an_altered_object_is_refused_and_putting_the_page_again_replaces_it(
    store: PageStore, damage: str
) -> None:
    ref, other = store.put(page()), store.put(page(9))
    stored = files(store)
    name = f"{ref.sha256[:2]}/{ref.sha256}.png"
    alter(
        store,
        name,
        {
            "other": stored[f"{other.sha256[:2]}/{other.sha256}.png"],
            "cut": stored[name][:-30],
            "empty": b"",
            "text": b"x",
        }[damage],
    )
    with pytest.raises(PageReferenceError, match="damaged or was altered") as caught:
        store.get(ref)
    assert store.location in str(caught.value)
    assert not store.is_intact(ref)
    store.put(page())
    assert files(store) == stored


def test_a_page_that_is_not_stored_is_an_error(store: PageStore) -> None:
    with pytest.raises(PageReferenceError, match="no page is stored under it") as caught:
        store.get(page().ref)
    assert store.location in str(caught.value)
    assert store.contents() == StoreContents(0, 0, 0, 0)


def test_threads_can_put_and_get_the_same_pages(store: PageStore) -> None:
    def work(_: int) -> list[str]:
        refs = [store.put(page(shade)) for shade in range(4)]
        return [str(store.get(ref).ref) for ref in refs]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(work, range(6)))
    assert all(answer == [str(page(shade).ref) for shade in range(4)] for answer in answers)
    assert store.contents() == StoreContents(4, store.contents().size_bytes, 0, 0)


@pytest.mark.parametrize("url", ["shelf"], indirect=True)
@pytest.mark.parametrize("broken", ["write", "rename"])
def test_a_write_that_fails_leaves_nothing_where_files_appear_at_once(
    store: PageStore, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    real = Shelf.pipe_file

    def half(self: Shelf, path: str, value: bytes, **options: Any) -> None:
        if "unfinished" in path and "0" * 64 not in path:
            real(self, path, value[: len(value) // 2], **options)
            raise OSError(28, "No space left on device")
        real(self, path, value, **options)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if broken == "write":
        monkeypatch.setattr(Shelf, "pipe_file", half)
    else:
        monkeypatch.setattr(Shelf, "mv", refuse)
    with pytest.raises(PageStoreError, match="No space left on device"):
        store.put(page())
    assert page().ref not in store
    assert store.contents() == StoreContents(0, 0, 0, 0)


@pytest.mark.parametrize("url", ["shelf"], indirect=True)
def test_a_killed_writer_leaves_no_page_where_files_appear_at_once(store: PageStore) -> None:
    script = (
        "import os, signal, sys\n"
        "from tests.pages.test_remote_page_store import Shelf, page\n"
        "from vdr_integrations.pages import PageStore\n"
        "Shelf.mv = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "PageStore(sys.argv[1]).put(page())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, store.location],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    assert page().ref not in store
    assert store.contents().unfinished == 1
    assert store.get(store.put(page())).ref == page().ref


def test_stores_of_one_url_are_equal_and_can_be_pickled(url: str) -> None:
    store = PageStore(url)
    store.put(page())  # what is open is not pickled
    copy = pickle.loads(pickle.dumps(store))
    assert copy == store == PageStore(f"{url}/")
    assert hash(copy) == hash(store)
    assert copy.get(page().ref).ref == page().ref
    assert store != PageStore(f"{url}/other")
    assert repr(store) == f"PageStore({url!r})"


def test_the_environment_may_name_a_url(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = PageStore()
    monkeypatch.setenv("VDR_PAGE_STORE", url)
    assert store.location == url
    store.put(page())
    assert PageStore(url).get(page().ref).ref == page().ref


def test_a_url_of_files_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my pages"
    store = PageStore(folder.as_uri())
    assert store == PageStore(folder)
    assert store.root == folder
    assert store.location == str(folder)
    assert store.path(store.put(page())).is_file()


def test_a_url_of_files_names_the_whole_folder(tmp_path: Path) -> None:
    assert PageStore(f"file://{tmp_path}/pages #1;x").root == tmp_path / "pages #1;x"


def test_a_slash_too_many_is_no_other_place(url: str) -> None:
    store = PageStore(f"{url}//deeper///still//")
    assert store == PageStore(f"{url}/deeper/still")
    store.put(page())
    assert store.contents().pages == 1
    keys = PageStore("s3://AKIA:se//cret@bucket//pages")
    assert keys == PageStore("s3://AKIA:se//cret@bucket/pages")
    assert keys != PageStore("s3://AKIA:se/cret@bucket/pages")


def test_a_store_at_a_url_has_no_path(store: PageStore) -> None:
    uses: list[Callable[[], object]] = [lambda: store.root, lambda: store.path(page().ref)]
    for use in uses:
        with pytest.raises(OptionError, match="is no folder") as caught:
            use()
        assert store.location in str(caught.value)


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("s3://", "names no place"),
        ("s3:///", "names no place"),
        ("s3://AKIA:secret@", "names no place"),
        ("s3:/bucket/pages", "neither a folder nor a URL"),
        (Path("s3://bucket/pages"), "neither a folder nor a URL"),
        ("simplecache::s3://bucket/pages", "neither a folder nor a URL"),
        (" s3://bucket/pages", "neither a folder nor a URL"),
        ("arrow_hdfs:/pages", "neither a folder nor a URL"),
        ("s3://AKIA:secret@bucket/pages?X-Amz-Signature=secret", "has a query"),
        ("file://host/pages", "no folder of this machine"),
        ("file:///", "no folder of this machine"),
    ],
)
def test_urls_that_cannot_be_a_store_are_refused(root: str | Path, message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        PageStore(root)
    assert "secret" not in str(caught.value)
    assert "AKIA" not in str(caught.value)


def test_urls_of_a_kind_that_nobody_knows_are_refused() -> None:
    with pytest.raises(OptionError, match="nosuchkind://host/pages cannot be opened"):
        PageStore("nosuchkind://host/pages").contents()


SECRETS = [
    ("s3://AKIAKEY:abc/d+ef%2Fsecret@bucket/pages", "s3://***@bucket/pages"),
    ("sftp://ann:secret@host:22/pages", "sftp://***@host:22/pages"),
    ("sftp://ann:sec@ret@host/pages", "sftp://***@host/pages"),
    ("abfs://container@account.dfs.core.windows.net/p", None),
    ("s3://bucket/pages@home", None),
    ("s3://bucket/a:b@c", None),
]


@pytest.mark.parametrize(("given", "shown"), SECRETS)
def test_what_a_url_keeps_secret_is_never_shown(given: str, shown: str | None) -> None:
    store = PageStore(given)
    assert store.location == (shown or given)
    assert repr(store) == f"PageStore({shown or given!r})"
    assert str(store.place(page().ref)).startswith(f"{shown or given}/")
    assert store == pickle.loads(pickle.dumps(store))


def test_errors_of_a_url_hide_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object, path: str, **__: object) -> bytes:
        raise PermissionError(f"http://ann:s3cr%2Fet@host{path}?sig=s3cr/et: access denied")

    monkeypatch.setattr(MemoryFileSystem, "cat_file", refuse)
    store = PageStore("memory://ann:s3cr%2Fet@host/pages")
    with pytest.raises(PageStoreError, match="access denied") as caught:
        store.get(page().ref)
    told = [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
    assert isinstance(caught.value.__cause__, OSError)
    told.append(repr(caught.value.__cause__.__cause__))
    for text in told:
        assert not re.search("s3cr|ann|sig=", text.replace("cannot", ""))
    assert "Give credentials" in str(caught.value)
    assert "VDR_PAGE_STORE" in str(caught.value)


ERRORS: list[tuple[Exception, str]] = [
    (PermissionError("Access Denied"), "Give credentials"),
    (TimeoutError(), "Check the network"),
    (ConnectionResetError(104, "Connection reset by peer"), "Check the network"),
    (RuntimeError("a library's own"), "a library's own"),
    (NotImplementedError(), "cannot do that"),
    (FileNotFoundError("bucket"), "Make it first"),
]


@pytest.mark.parametrize(("error", "advice"), ERRORS, ids=lambda one: type(one).__name__)
def test_errors_of_any_library_are_told_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, error: Exception, advice: str
) -> None:
    def refuse(_: object, path: str, *__: object, **___: object) -> None:
        if path.endswith(".png"):
            raise error

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", refuse)
    store = PageStore("memory://errors/pages")
    with pytest.raises(PageStoreError, match=advice) as caught:
        store.put(page())
    assert isinstance(caught.value, OSError)
    assert "page store memory://errors/pages" in str(caught.value)
    assert "VDR_PAGE_STORE" in str(caught.value)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)


def test_a_page_is_not_named_if_it_could_not_be_renewed(
    store: PageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader without the right to write may use what is there; a network that fails may not."""
    store.put(page())
    system = type(fsspec.url_to_fs(store.location)[0])
    failures: list[Exception] = [ConnectionResetError("reset"), PermissionError("read only")]

    def fail(*_: object, **__: object) -> None:
        raise failures[0]

    monkeypatch.setattr(system, "pipe_file", fail)
    for use in (lambda: store.put(page()), lambda: store.renew(page().ref)):
        with pytest.raises(PageStoreError, match="reset"):
            use()
    del failures[0]
    assert store.put(page()) == page().ref
    store.renew(page().ref)


@pytest.mark.parametrize(
    ("location", "command"),
    [
        ("s3://bucket/pages", 'pip install "vdr-integrations\\[s3\\]"'),
        ("gs://bucket/pages", "pip install gcsfs"),
        ("sftp://host/pages", "pip install paramiko"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, location: str, command: str
) -> None:
    for package in ("s3fs", "gcsfs", "paramiko"):
        monkeypatch.setitem(sys.modules, package, None)
    store = PageStore(location)
    uses: list[Callable[[], object]] = [
        lambda: store.put(page()),
        lambda: store.get(page().ref),
        lambda: store.renew(page().ref),
        lambda: page().ref in store,
        store.contents,
    ]
    for use in uses:
        with pytest.raises(MissingExtraError, match=command) as caught:
            use()
        copy = pickle.loads(pickle.dumps(caught.value))
        assert str(copy) == str(caught.value)
