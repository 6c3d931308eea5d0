"""``vdr store`` and ``vdr store prune``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from tests.index.documents import write_png

from vdr_integrations import PageStore
from vdr_integrations.index import DenseIndex
from vdr_integrations.types import PageImage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from vdr_integrations.types import PageRef

pytestmark = pytest.mark.usefixtures("seen_pages")


def put_long_ago(store: PageStore, image: Image.Image) -> PageRef:
    ref = store.put(PageImage(image))
    then = store.path(ref).stat().st_mtime - 48 * 3600
    os.utime(store.path(ref), (then, then))
    return ref


@pytest.fixture
def needed(page_store: PageStore) -> PageRef:
    return put_long_ago(page_store, Image.new("RGB", (28, 28), "navy"))


@pytest.fixture
def unneeded(page_store: PageStore) -> PageRef:
    return put_long_ago(page_store, Image.new("RGB", (28, 28), "red"))


@pytest.fixture
def refs(needed: PageRef, tmp_path: Path) -> Path:
    """A file that lists the page that is needed."""
    path = tmp_path / "refs.txt"
    path.write_text(f"{needed}\n\n")
    return path


def shown(done: Result) -> dict[str, Any]:
    assert (done.exit_code, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_it_shows_folder_pages_sizes_and_what_is_unfinished(
    vdr: Callable[..., Result], page_store: PageStore, needed: PageRef, tmp_path: Path
) -> None:
    (page_store.root / "unfinished" / f"{needed.sha256}.abc.tmp").write_bytes(b"half")
    size_bytes = page_store.path(needed).stat().st_size
    assert shown(vdr("store", "--json")) == {
        "page_store": str(page_store.root),
        "pages": 1,
        "bytes": size_bytes,
        "unfinished": 1,
        "unfinished_bytes": 4,
    }
    done = vdr("store")
    assert done.stdout.splitlines() == [
        f"page store  {page_store.root}",
        "pages       1",
        f"bytes       {size_bytes} bytes",
        "unfinished  1 (4 bytes)",
    ]
    assert shown(vdr("store", "--store", tmp_path / "other", "--json"))["pages"] == 0
    assert not (tmp_path / "other").exists()


def test_a_store_that_cannot_be_read_is_one_line(
    vdr: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    done = vdr("store", "--store", tmp_path / "taken")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: page store {tmp_path / 'taken'}: it cannot be read: ")
    assert len(done.stderr.splitlines()) == 1


def test_prune_removes_what_no_index_and_no_list_needs(
    *,
    vdr: Callable[..., Result],
    page_store: PageStore,
    needed: PageRef,
    unneeded: PageRef,
    refs: Path,
    tmp_path: Path,
    tiny_checkpoint: Path,
) -> None:
    write_png(tmp_path / "docs" / "b.png", "olive")
    model = ("--model", tiny_checkpoint, "--max-visual-tokens", 16, "--dimension", 32)
    assert vdr("index", tmp_path / "docs", "--index", tmp_path / "ix", *model).exit_code == 0
    with DenseIndex.open(tmp_path / "ix") as index:
        indexed = index.pages()[0].page_ref
    size_bytes = page_store.path(unneeded).stat().st_size
    # A stand-in for the image of the indexed page: only its name counts here.
    stand_in = page_store.path(indexed)
    stand_in.parent.mkdir(exist_ok=True)
    page_store.path(needed).rename(stand_in)
    wanted = ("store", "prune", "--index", tmp_path / "ix", "--refs", refs)

    assert shown(vdr(*wanted, "--dry-run", "--json")) == {
        "page_store": str(page_store.root),
        "unneeded": 1,
        "unneeded_bytes": size_bytes,
        "needed": 1,
        "new": 0,
    }
    done = vdr(*wanted, "--dry-run")
    assert done.stdout == f"1 pages would be removed ({size_bytes} bytes); 1 needed, 0 new\n"
    assert unneeded in page_store

    done = vdr(*wanted, "--yes")
    assert done.stdout == f"1 pages removed ({size_bytes} bytes); 1 needed, 0 new\n"
    assert unneeded not in page_store
    assert indexed in page_store
    found = shown(vdr(*wanted, "--json"))  # there is nothing to ask about
    assert (found["unneeded"], found["removed"], found["unfinished_removed"]) == (0, 0, 0)


def test_a_store_at_a_url_is_shown_and_pruned(
    vdr: Callable[..., Result], page_store: PageStore, refs: Path, needed: PageRef
) -> None:
    place = f"memory://ann:secret@{refs.parent.name}/pages"
    shown_place = place.replace("ann:secret", "***")
    store = PageStore(place)
    gone = store.put(PageImage(Image.new("RGB", (28, 28), "red")))
    found = shown(vdr("store", "--store", place, "--json"))
    assert (found["page_store"], found["pages"]) == (shown_place, 1)
    assert vdr("store", VDR_PAGE_STORE=place).stdout.startswith(f"page store  {shown_place}\n")
    options = ("store", "prune", "--refs", refs, "--keep-hours", 0, "--store", place)
    done = vdr(*options)
    assert (done.exit_code, "add --yes" in done.stderr) == (1, True)
    pruned = shown(vdr(*options, "--yes", "--json"))
    assert (pruned["page_store"], pruned["removed"]) == (shown_place, 1)
    assert gone not in store


def test_references_come_from_files_and_from_stdin(
    vdr: Callable[..., Result], page_store: PageStore, needed: PageRef, unneeded: PageRef
) -> None:
    done = vdr("store", "prune", "--refs", "-", "--yes", asked=f"{needed}\n")
    assert done.exit_code == 0
    assert needed in page_store
    assert unneeded not in page_store


def test_new_pages_stay_for_some_hours(
    vdr: Callable[..., Result], page_store: PageStore, unneeded: PageRef, refs: Path
) -> None:
    options = ("store", "prune", "--refs", refs, "--yes", "--json")
    assert shown(vdr(*options, "--keep-hours", 49))["new"] == 1
    assert unneeded in page_store
    assert shown(vdr(*options, "--keep-hours", 47))["removed"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "without an index and a list of references"),
        (["--index", "{tmp}/none"], "no index"),
        (["--refs", "{tmp}/none"], "No such file"),
        (["--refs", "{tmp}/empty"], "names a page"),
        (["--refs", "{tmp}/binary"], "is not UTF-8 text"),
        (["--refs", "{tmp}/refs.txt", "--refs", "{tmp}/words"], "reference 2 of the list"),
        (["--refs", "{tmp}/refs.txt", "--index", "{tmp}/none"], "no index"),
        (["--refs", "{tmp}/refs.txt", "--index", "http://host"], "without a collection"),
    ],
)
def test_nothing_is_removed_if_something_is_wrong(
    *,
    vdr: Callable[..., Result],
    page_store: PageStore,
    unneeded: PageRef,
    refs: Path,
    tmp_path: Path,
    options: list[str],
    message: str,
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "words").write_text("no reference\n")
    given = [option.format(tmp=tmp_path) for option in options]
    # The index of the environment alone is not enough: there may be others.
    done = vdr("store", "prune", "--yes", *given, VDR_INDEX=str(tmp_path))
    assert done.exit_code == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert unneeded in page_store


def test_without_a_terminal_it_needs_yes(
    vdr: Callable[..., Result], page_store: PageStore, unneeded: PageRef, refs: Path
) -> None:
    done = vdr("store", "prune", "--refs", refs)
    assert done.exit_code == 1
    assert "add --yes" in done.stderr
    assert unneeded in page_store


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals")
@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_it_asks(
    page_store: PageStore, unneeded: PageRef, refs: Path, answer: str
) -> None:
    import pty

    controller, terminal = pty.openpty()
    os.write(controller, f"{answer}\n".encode())
    done = subprocess.run(
        [sys.executable, "-m", "vdr_integrations", "store", "prune", "--refs", str(refs)],
        stdin=terminal,
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(terminal)
    os.close(controller)
    assert done.returncode == (0 if answer == "y" else 1)
    assert "Remove 1 pages" in done.stderr
    assert (unneeded in page_store) == (answer == "n")


def test_options_before_prune_are_refused(
    vdr: Callable[..., Result], page_store: PageStore, unneeded: PageRef, refs: Path
) -> None:
    done = vdr("store", "--store", "elsewhere", "prune", "--refs", refs, "--yes")
    assert done.exit_code == 2
    assert unneeded in page_store
