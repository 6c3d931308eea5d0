from __future__ import annotations

import os
import pickle
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.broken_stores import BROKEN
from tests.patience import HANG_S

from vdr_integrations.errors import ImageTooLargeError, PageReferenceError, PageStoreError
from vdr_integrations.pages import PageStore, StoreContents
from vdr_integrations.types import PageImage, PageRef

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def page(colour: tuple[int, int, int] = (200, 30, 40)) -> PageImage:
    image = Image.new("RGB", (56, 84), colour)
    image.putpixel((3, 5), (1, 2, 3))
    return PageImage(image)


@pytest.fixture
def store(tmp_path: Path) -> PageStore:
    return PageStore(tmp_path / "pages")


def test_a_stored_page_comes_back_pixel_for_pixel(store: PageStore) -> None:
    ref = store.put(page())
    assert ref == page().ref
    for found in (store.get(ref), store.get(str(ref))):
        assert found.image.mode == "RGB"
        assert found.image.tobytes() == page().image.tobytes()
        assert found.source == str(ref)
    assert ref in store
    assert str(ref) in store


def test_files_lie_in_folders_by_the_first_two_digits(store: PageStore) -> None:
    ref = store.put(page())
    path = store.path(ref)
    assert path == store.root / ref.sha256[:2] / f"{ref.sha256}.png"
    with Image.open(path) as image:
        assert image.format == "PNG"


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_stored_pages_are_readable_by_their_owner_only(store: PageStore) -> None:
    assert stat.S_IMODE(store.path(store.put(page())).stat().st_mode) == 0o600


def test_a_page_is_stored_once(store: PageStore) -> None:
    path = store.path(store.put(page()))
    before = path.stat().st_ino
    store.put(page())
    assert path.stat().st_ino == before
    assert [p for p in store.root.rglob("*") if p.is_file()] == [path]


def test_what_pil_keeps_beside_the_pixels_is_not_stored(store: PageStore) -> None:
    image = page().image.copy()
    image.info = {"transparency": (200, 30, 40), "icc_profile": b"private", "dpi": (7, 7)}
    ref = store.put(PageImage(image))
    assert store.get(ref).image.tobytes() == image.tobytes()
    assert b"private" not in store.path(ref).read_bytes()


def test_a_page_that_is_not_stored_is_an_error(store: PageStore) -> None:
    ref = page().ref
    assert ref not in store
    for name in (ref, str(ref)):
        with pytest.raises(PageReferenceError, match=f"^{ref}: no page is stored under it"):
            store.get(name)


@pytest.mark.parametrize("damage", ["other", "cut", "empty", "bomb", "text"])
def test_an_altered_file_is_refused_and_putting_the_page_again_replaces_it(
    store: PageStore, damage: str
) -> None:
    ref = store.put(page())
    path = store.path(ref)
    other = store.path(store.put(page((9, 9, 9)))).read_bytes()
    data = path.read_bytes()
    bomb = data[:16] + (10**6).to_bytes(4, "big") * 2 + data[24:]
    path.write_bytes(
        {"other": other, "cut": data[:-30], "empty": b"", "bomb": bomb, "text": b"x"}[damage]
    )
    with pytest.raises(PageReferenceError, match="damaged or was altered"):
        store.get(ref)
    store.put(page())
    assert store.get(ref).sha256 == ref.sha256


DIGITS = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vdr-page:",
        f"vdr-page:{DIGITS[:-1]}",
        f"vdr-page:{DIGITS}0",
        f"vdr-page:{DIGITS}\n",
        f" vdr-page:{DIGITS}",
        f"vdr-page:{DIGITS.upper()}",
        f"VDR-PAGE:{DIGITS}",
        f"see vdr-page:{DIGITS} here",
        DIGITS,
        "vdr-page:../../../../etc/passwd",
        "vdr-page:" + "../" * 21 + "x",
        "vdr-page:/etc/passwd" + "0" * 53,
        f"vdr-page:{'٣' * 64}",
        f"vdr-page:{DIGITS[:-1]}\x00",
        "file:///etc/passwd",
    ],
)
def test_a_text_that_is_not_exactly_a_reference_never_resolves(store: PageStore, text: str) -> None:
    assert text not in store
    for look in (store.get, store.path):
        with pytest.raises(PageReferenceError, match="a text of") as caught:
            look(text)
        assert DIGITS[:20] not in str(caught.value)
    assert not store.root.exists()


@given(st.text())
def test_no_text_resolves_by_accident(text: str) -> None:
    with pytest.raises(PageReferenceError, match="a text of"):
        PageStore("nowhere").get(text)


def test_the_default_folder_is_looked_up_when_the_store_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PageStore()
    monkeypatch.setenv("VDR_PAGE_STORE", str(tmp_path / "one"))
    assert store.root == tmp_path / "one"
    monkeypatch.setenv("VDR_PAGE_STORE", str(tmp_path / "two"))
    assert store.root == tmp_path / "two"
    monkeypatch.delenv("VDR_PAGE_STORE")
    assert store.root.parts[-2:] == ("vdr-integrations", "pages")


def test_stores_of_one_folder_are_equal_and_can_be_pickled(tmp_path: Path) -> None:
    store = PageStore(tmp_path)
    assert store == PageStore(str(tmp_path)) == pickle.loads(pickle.dumps(store))
    assert hash(store) == hash(PageStore(str(tmp_path)))
    assert store != PageStore(tmp_path / "other")
    assert store != "store"
    assert repr(store) == f"PageStore({str(tmp_path)!r})"


def test_a_page_that_get_would_refuse_is_not_stored(store: PageStore) -> None:
    large = PageImage(Image.new("RGB", (10_001, 10_000)))
    with pytest.raises(ImageTooLargeError, match="at most 100,000,000"):
        store.put(large)


def test_a_failed_write_leaves_nothing_behind(
    store: PageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        store.put(page())
    assert isinstance(caught.value, PageStoreError)
    assert "vdr store prune" in str(caught.value)
    assert page().ref not in store
    assert not [p for p in store.root.rglob("*") if p.is_file()]


def test_threads_can_put_and_get_the_same_pages(store: PageStore) -> None:
    colours = [(n, 255 - n, 7) for n in range(0, 250, 50)]

    def work(_: int) -> list[PageRef]:
        refs = [store.put(page(colour)) for colour in colours]
        return [store.get(ref).ref for ref in refs]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(work, range(6)))
    assert all(answer == [page(colour).ref for colour in colours] for answer in answers)
    assert len([p for p in store.root.rglob("*") if p.is_file()]) == len(colours)


def test_processes_can_put_the_same_pages(store: PageStore) -> None:
    script = (
        "import sys; from PIL import Image\n"
        "from vdr_integrations.pages import PageStore\n"
        "from vdr_integrations.types import PageImage\n"
        "for n in range(20):\n"
        "    store = PageStore(sys.argv[1])\n"
        "    store.get(store.put(PageImage(Image.new('RGB', (56, 56), (n, n, n)))))\n"
    )
    command = [sys.executable, "-c", script, str(store.root)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for process in running:
        _, errors = process.communicate(timeout=HANG_S)
        assert (process.returncode, errors) == (0, b"")
    files = [p for p in store.root.rglob("*") if p.is_file()]
    assert len(files) == 20
    for n in range(20):
        assert PageImage(Image.new("RGB", (56, 56), (n, n, n))).ref in store


LIMITED = """
import resource, sys
from PIL import Image
from vdr_integrations.errors import PageStoreError, ResourceError
from vdr_integrations.pages import PageStore
from vdr_integrations.types import PageImage
store = PageStore(sys.argv[1])
noise = PageImage(Image.effect_noise((400, 400), 90).convert("RGB"))
store.put(PageImage(Image.new("RGB", (28, 28))))
"""


def run(code: str, store: PageStore) -> subprocess.CompletedProcess[bytes]:
    """Python code in another process, after the lines of ``LIMITED``."""
    command = [sys.executable, "-c", LIMITED + code, str(store.root)]
    return subprocess.run(command, capture_output=True, timeout=HANG_S, check=False)


def unfinished(store: PageStore) -> list[Path]:
    return list((store.root / "unfinished").iterdir())


def killed_writer(store: PageStore) -> Path:
    """The file of a writer that was killed before its page was complete."""
    done = run(
        "import os, signal; os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "store.put(noise)",
        store,
    )
    assert done.returncode == -9, done.stderr
    [left] = unfinished(store)
    return left


def grow_old(path: Path, *, hours: float) -> None:
    then = path.stat().st_mtime - 3600 * hours
    os.utime(path, (then, then))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_what_a_killed_writer_left_is_removed_by_the_next_writer_after_an_hour(
    store: PageStore,
) -> None:
    left = killed_writer(store)
    assert store.contents().pages == 1
    assert store.contents().unfinished == 1
    assert store.contents().unfinished_bytes == left.stat().st_size > 0
    store.put(page())
    assert left.exists()  # a living writer may be that young
    grow_old(left, hours=1.1)
    store.put(page((9, 9, 9)))
    assert unfinished(store) == []
    assert store.contents().pages == 3


def test_only_unfinished_pages_are_removed(store: PageStore) -> None:
    store.put(page())
    own = [store.root / "unfinished" / name for name in ("notes.txt", f"{DIGITS}.png", "x.tmp")]
    for path in own:
        path.write_text("mine")
        grow_old(path, hours=100)
    (store.root / "unfinished" / f"{DIGITS}.folder.tmp").mkdir()
    store.put(page((9, 9, 9)))
    assert all(path.exists() for path in own)
    assert len(unfinished(store)) == 4


@pytest.mark.parametrize("taken", ["file", "folder"])
def test_a_writer_whose_file_was_taken_for_abandoned_writes_once_more(
    store: PageStore, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    real, calls = os.fsync, list[int]()

    def late(descriptor: int) -> None:
        real(descriptor)
        calls.append(descriptor)
        if len(calls) == 1:
            if taken == "folder":
                shutil.rmtree(store.root)
            else:
                unfinished(store)[0].unlink()

    monkeypatch.setattr(os, "fsync", late)
    ref = store.put(page())
    assert store.get(ref).image.tobytes() == page().image.tobytes()
    assert len(calls) == 2


def test_a_page_that_is_put_again_counts_as_new(store: PageStore) -> None:
    path = store.path(store.put(page()))
    uses: list[Callable[[], object]] = [
        lambda: store.put(page()),
        lambda: store.renew(page().ref),
    ]
    for again in uses:
        grow_old(path, hours=100)
        old = path.stat().st_mtime
        again()
        assert path.stat().st_mtime > old
    store.renew(page((9, 9, 9)).ref)
    with pytest.raises(PageReferenceError, match="a text of"):
        store.renew("page")


def test_contents_are_those_of_pages_only(store: PageStore) -> None:
    assert store.contents() == StoreContents(0, 0, 0, 0)
    assert not store.root.exists()
    path = store.path(store.put(page()))
    other = "00" if path.parent.name != "00" else "11"
    (store.root / "notes.txt").write_text("mine")
    (store.root / other).mkdir()
    (store.root / other / path.name).write_bytes(b"in the folder of other digits")
    (path.parent / "notes.png").write_bytes(b"mine")
    assert store.contents() == StoreContents(1, path.stat().st_size, 0, 0)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_store_that_cannot_be_used_is_named_with_the_reason_and_the_way_out(
    tmp_path: Path, kind: str
) -> None:
    store = PageStore(BROKEN[kind](tmp_path))
    ref = page().ref
    uses: list[Callable[[], object]] = [
        lambda: store.put(page()),
        lambda: store.get(ref),
        lambda: ref in store,
        store.contents,
    ]
    for use in uses:
        with pytest.raises(PageStoreError) as caught:
            use()
        assert isinstance(caught.value, OSError)
        assert str(store.root) in str(caught.value)
        assert "VDR_PAGE_STORE" in str(caught.value)
        cause = caught.value.__cause__
        assert isinstance(cause, OSError)
        assert str(cause.strerror) in str(caught.value)
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (str(copy), copy.source) == (str(caught.value), caught.value.source)


@pytest.mark.parametrize("where", ["folder of digits", "unfinished", "page"])
def test_something_else_in_the_place_of_a_file_is_named(store: PageStore, where: str) -> None:
    path = store.path(page().ref)
    path.parent.parent.mkdir(parents=True)
    if where == "page":
        (path / "inside").mkdir(parents=True)
    else:
        (path.parent if where == "folder of digits" else store.root / "unfinished").write_text("x")
    with pytest.raises(PageStoreError, match="move that away") as caught:
        store.put(page())
    assert str(path if where == "page" else store.root) in str(caught.value)
    assert not list(store.root.rglob("*.tmp"))


@pytest.mark.skipif(os.name != "posix", reason="limits of a process")
def test_a_limit_of_file_sizes_is_told_and_leaves_nothing_behind(store: PageStore) -> None:
    done = run(
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: store.put(noise)\n"
        "except PageStoreError as error: print(error)",
        store,
    )
    assert done.returncode == 0, done.stderr
    assert b"File too large" in done.stdout
    assert b"ulimit -f" in done.stdout
    assert unfinished(store) == []
    assert store.contents().pages == 1


@pytest.mark.skipif(os.name != "posix", reason="limits of a process")
def test_a_lack_of_open_files_is_the_fault_of_the_machine(store: PageStore) -> None:
    done = run(
        "import os; free = os.dup(0); os.close(free)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (free, free))\n"
        "for use in (lambda: store.put(noise), lambda: store.get(noise.ref)):\n"
        "    try: use()\n"
        "    except ResourceError as error: print('told')\n",
        store,
    )
    assert (done.returncode, done.stdout) == (0, b"told\ntold\n"), done.stderr
