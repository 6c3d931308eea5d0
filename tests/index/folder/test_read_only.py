from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.index.folder.shelf import KINDS, add, answers
from tests.patience import HANG_S

from vdr_integrations.index import LateInteractionIndex, open_index
from vdr_integrations.index.verify import verify_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.prepared.fresh_python import FreshPython
    from tests.prepared.python import PreparedPython

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")

# Answers each line with its hits; it may not write to the folder.
READER = """
import json, os, sys, warnings
from pathlib import Path
from tests.index.folder.own_mounts import mount_alone
from tests.index.folder.shelf import add, answers
from vdr_integrations.errors import VdrError
from vdr_integrations.index import open_index
warnings.simplefilter("error")
folder = Path(sys.argv[1])
mount_alone(*sys.argv[2:]) if sys.argv[2:] else None
assert not os.access(folder, os.W_OK), "the folder can be written"
index = open_index(folder, wait_s=0.0)
WRITES = {
    "add": lambda: add(index, "new.pdf"),
    "remove": lambda: index.remove_document("a.pdf"),
    "optimize": lambda: index.optimize(),
    "clean up": lambda: index.clean_up(),
}
for line in sys.stdin:
    what = line.strip()
    try:
        if what == "read":
            said = repr(answers(index))
        elif what == "read anew":
            with open_index(folder) as fresh:
                said = repr(answers(fresh))
        else:
            said = repr(WRITES[what]())
    except VdrError as error:
        said = f"{type(error).__name__}: {error}"
    print(json.dumps(said), flush=True)
"""

# Writes enough of a commit into the database that SQLite has to undo it.
KILLED = """
import os, sys
from pathlib import Path
from vdr_integrations.index.folder.database import writing
with writing(Path(sys.argv[1])) as connection:
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("PRAGMA cache_spill = 1")
    connection.execute("UPDATE documents SET record = 'spoilt' || hex(zeroblob(3000))")
    connection.execute("UPDATE pages SET content = 'spoilt' || hex(zeroblob(3000))")
    connection.execute("UPDATE manifest SET generation = generation + 7")
    os.kill(os.getpid(), 9)
"""


class Reader:
    """A process that may only read a folder."""

    def __init__(self, path: Path, python: PreparedPython | FreshPython) -> None:
        mounts: list[str] = []
        if os.geteuid() != 0:
            path.chmod(0o555)
        else:
            mounts = [f"mount --bind {path} {path}", f"mount -o remount,ro,bind {path}"]
            tried = ["unshare", "-m", "sh", "-c", " && ".join(mounts)]
            if subprocess.run(tried, check=False, capture_output=True).returncode != 0:
                pytest.skip("nothing can be mounted read-only here")
        self._process = python.start(
            *("-c", READER, str(path), *mounts),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, what: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(HANG_S) == 0


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "index"
    with KINDS["both"].create(path) as index:
        for seed, source in enumerate(["a.pdf", "b.pdf"]):
            add(index, source, 3, seed=seed)
    yield path
    path.chmod(0o755)


def files(path: Path) -> dict[str, tuple[int, int]]:
    return {
        entry.name: (entry.stat().st_size, entry.stat().st_mtime_ns) for entry in path.iterdir()
    }


def leave_a_journal(path: Path) -> None:
    """Kill a writer in the middle of a commit."""
    before = (path / "index.sqlite3").read_bytes()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)],
        check=False,
        timeout=HANG_S,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert killed.returncode == -9
    assert (path / "index.sqlite3-journal").stat().st_size > 0
    after = (path / "index.sqlite3").read_bytes()
    assert after != before
    assert b"spoilt" in after


def test_a_folder_that_may_only_be_read_is_searched_while_another_process_writes(
    path: Path, quick_python: PreparedPython | FreshPython
) -> None:
    reader = Reader(path, quick_python)
    with open_index(path) as index:
        for seed in range(5):
            before = files(path)
            assert reader.ask("read") == repr(answers(index))
            assert reader.ask("read anew") == repr(answers(index))
            assert files(path) == before
            if os.geteuid() == 0:
                add(index, "b.pdf", 2, seed=10 + seed)
        if os.geteuid() == 0:
            index.remove_document("a.pdf")
            index.optimize()
        assert reader.ask("read") == repr(answers(index))
    reader.close()


def test_writing_where_one_may_only_read_says_why(
    path: Path, quick_python: PreparedPython | FreshPython
) -> None:
    reader = Reader(path, quick_python)
    before, right = files(path), reader.ask("read")
    for write in ("add", "remove", "optimize", "clean up"):
        said = reader.ask(write)
        assert said.startswith("IndexStoreError"), said
        assert "no permission" in said
        assert str(path) in said
    assert files(path) == before
    assert reader.ask("read") == right
    reader.close()


def test_half_a_commit_of_a_killed_writer_is_not_seen_where_one_may_only_read(
    path: Path, quick_python: PreparedPython | FreshPython
) -> None:
    with open_index(path) as index:
        right = repr(answers(index))
    leave_a_journal(path)
    before = files(path)
    reader = Reader(path, quick_python)
    assert reader.ask("read") == right
    assert reader.ask("read anew") == right
    assert files(path) == before
    if os.geteuid() == 0:  # otherwise the folder cannot be written at all now
        with open_index(path) as index:
            add(index, "c.pdf", 2, seed=5)
            assert reader.ask("read") == repr(answers(index))
            assert reader.ask("read anew") == repr(answers(index))
            assert verify_index(index).problems == ()
    reader.close()


@pytest.mark.parametrize("first", ["open", "write", "running reader", "running writer"])
def test_half_a_commit_of_a_killed_writer_is_undone_by_whoever_comes_next(
    path: Path, first: str
) -> None:
    with open_index(path) as running:
        right = answers(running)
        leave_a_journal(path)
        if first == "running reader":
            assert answers(running) == right
        elif first == "running writer":
            add(running, "c.pdf", 2, seed=5)
    with open_index(path) as index:
        if first == "write":
            assert index.remove_document("b.pdf")
        elif first != "running writer":
            assert answers(index) == right
        assert len(index.documents()) == {"write": 1, "running writer": 3}.get(first, 2)
        assert verify_index(index).problems == ()


def test_a_copy_of_a_folder_with_half_a_commit_is_right_too(path: Path, tmp_path: Path) -> None:
    with open_index(path) as index:
        right = answers(index)
    leave_a_journal(path)
    shutil.copytree(path, tmp_path / "copy")
    with open_index(tmp_path / "copy") as index:
        assert answers(index) == right


def test_half_a_commit_is_not_seen_where_python_has_no_pread(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has none."""
    with open_index(path) as index:
        right = answers(index)
    leave_a_journal(path)
    before = files(path)

    def may_not_write(place: Path, mode: int) -> bool:
        return False

    monkeypatch.setattr(os, "access", may_not_write)
    monkeypatch.delattr(os, "pread")
    with open_index(path) as index:
        assert answers(index) == right
    assert files(path) == before


def test_a_journal_that_is_gone_when_it_is_looked_for_is_no_trouble(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process undid the commit, or finished its own, before this one could copy it."""
    with open_index(path) as index:
        right = answers(index)
    leave_a_journal(path)
    asked: list[Path] = []

    def undone_first(place: Path, mode: int) -> bool:
        asked.append(place)
        monkeypatch.undo()
        with open_index(path) as other:
            assert answers(other) == right
        return False  # so it is to be copied

    monkeypatch.setattr(os, "access", undone_first)
    with LateInteractionIndex.open(path) as index:
        assert asked == [path]
        assert answers(index) == right
