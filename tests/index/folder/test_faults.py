from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.index.folder.faults import ERRORS, Faults
from tests.index.folder.shelf import KINDS, add, answers, hit_keys, vectors_of
from tests.index.folder.sqlite_calls import little_memory
from tests.index.late_interaction.pages import FILE
from tests.index.quarters import search_quarters_in_two_stages

from vdr_integrations.errors import IndexStoreError, ResourceError, VdrError
from vdr_integrations.index import LateInteractionIndex
from vdr_integrations.index.stored_page import page_id
from vdr_integrations.index.verify import verify_index

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.index.folder.shelf import Index
    from tests.prepared.python import PreparedPython

CAUSES = {
    errno.ENOSPC: "disk is full",
    errno.EIO: "Input/output error",
    errno.EMFILE: "too many open files",
    errno.ENOMEM: "not enough memory",
}
ADVISES_DELETING = re.compile(r"(delete|remove) (the|this|its) (folder|index)", re.IGNORECASE)

OPERATIONS: dict[str, Callable[[Index], object]] = {
    "add": lambda index: add(index, "d.pdf", 3, seed=4),
    "replace": lambda index: add(index, "b.pdf", 4, seed=5),
    "remove document": lambda index: index.remove_document("b.pdf"),
    "remove pages": lambda index: index.remove_pages(
        [page_id("a.pdf", 2), page_id("c.pdf", 1), page_id("c.pdf", 2)]
    ),
    "update file state": lambda index: index.update_file_state(
        "a.pdf", replace(FILE, checked_ns=77)
    ),
    "optimize": lambda index: index.optimize(),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds of vectors, three documents, and the unused space of a removed one."""
    path = tmp_path_factory.mktemp("prepared") / "index"
    with KINDS["both"].create(path) as index:
        for seed, source in enumerate(["a.pdf", "gone.pdf", "b.pdf"]):
            add(index, source, 3, seed=seed)
        add(index, "c.pdf", 2, seed=3)
        index.remove_document("gone.pdf")
    return path


@pytest.fixture(scope="module")
def before_a_codebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough pages that the next document makes the codebook."""
    path = tmp_path_factory.mktemp("many") / "index"
    with KINDS["float16"].create(path) as index:
        for seed in range(2):
            add(index, f"{'ab'[seed]}.pdf", 98, seed=seed, tokens=2)
    return path


def refuse_each_call(
    prepared: Path,
    tmp_path: Path,
    faults: Faults,
    operation: Callable[[Index], object],
    *,
    thorough: bool,
    step: int = 1,
    look: Callable[[Index], dict[str, Any]] = answers,
) -> int:
    """Refuse each call of an operation; returns how many were refused.

    If thorough, each call is refused once, and with all later ones, with every error that it may
    have. Otherwise, one call of each ``step`` calls is refused.
    """
    path = tmp_path / "index"
    shutil.copytree(prepared, path)
    with LateInteractionIndex.open(path) as index:
        before = look(index)
        with faults.counted():
            operation(index)
        kinds = list(faults.calls)
        after = look(index)
    shutil.rmtree(path)
    assert kinds
    count = 0
    for at, kind in list(enumerate(kinds))[::step]:
        errors = ERRORS[kind.removeprefix("sqlite ")]
        for lasts in (False, True) if thorough else [at // step % 2 == 1]:
            for choice in range(len(errors)) if thorough else [at // step // 2]:
                shutil.copytree(prepared, path)
                where = f"call {at} of {len(kinds)} ({kind}), {lasts=}, {choice=}"
                refuse_one(
                    path,
                    faults,
                    operation,
                    where=where,
                    refuse={"at": at, "lasts": lasts, "choice": choice},
                    states=(before, after),
                    look=look,
                )
                shutil.rmtree(path)
                count += 1
    return count


def refuse_one(
    path: Path,
    faults: Faults,
    operation: Callable[[Index], object],
    *,
    where: str,
    refuse: dict[str, Any],
    states: tuple[dict[str, Any], dict[str, Any]],
    look: Callable[[Index], dict[str, Any]],
) -> None:
    before, after = states
    with LateInteractionIndex.open(path) as index:
        error: VdrError | None = None
        with faults.counted(**refuse):
            try:
                operation(index)
            except VdrError as found:
                error = found
        assert faults.refused, where
        if error is not None:
            check_error(error, faults, where)
        expected = after if error is None else before
        assert look(index) == expected, where
        with LateInteractionIndex.open(path) as fresh:
            assert look(fresh) == expected, where
        operation(index)
        with LateInteractionIndex.open(path) as fresh:
            assert look(fresh) == after, where
            assert verify_index(fresh).problems == (), where


def check_error(error: VdrError, faults: Faults, where: str) -> None:
    assert isinstance(error, IndexStoreError | ResourceError), where
    assert not ADVISES_DELETING.search(str(error)), where
    assert "damaged" not in str(error), f"{where}: {error}"
    kind, number = faults.refused[0]
    by_sqlite = faults.refused_of_sqlite
    assert number == errno.EROFS or "permission" not in str(error), f"{where}: {error}"
    if not (by_sqlite and kind in {"open", "fsync"}):  # SQLite does not report the error number
        assert CAUSES[number] in str(error), f"{where}: {error}"


def look_briefly(index: Index) -> dict[str, Any]:
    return answers(index, seeds=(0,), brief=True)


def look_at_many(index: Index) -> dict[str, Any]:
    """Each question fits one page far better than others, so a rough first stage finds it too."""
    assert isinstance(index, LateInteractionIndex)
    wanted = [vectors_of(seed, 1, tokens=2)[0][0] for seed in range(2)]
    return {
        "documents": index.documents(),
        "count": index.count_pages(),
        "hits": [hit_keys(index.search(query, k=1)) for query in wanted],
        "exact": [hit_keys(index.search(query, k=5, exhaustive=True)) for query in wanted],
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_whichever_call_of_a_write_is_refused_the_last_commit_is_whole(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    count = refuse_each_call(
        prepared,
        tmp_path,
        Faults(monkeypatch),
        OPERATIONS[name],
        thorough=False,
        step={"add": 1, "replace": 1, "optimize": 5}.get(name, 2),
        look=look_briefly,
    )
    assert count >= 15


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", OPERATIONS)
def test_whichever_call_is_refused_with_whichever_error_the_last_commit_is_whole(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    count = refuse_each_call(
        prepared, tmp_path, Faults(monkeypatch), OPERATIONS[name], thorough=True
    )
    assert count >= 80


@pytest.mark.parametrize(
    "step", [12, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_whichever_call_of_making_the_codebook_is_refused_the_document_is_there(
    before_a_codebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    search_quarters_in_two_stages(monkeypatch)
    count = refuse_each_call(
        before_a_codebook,
        tmp_path,
        Faults(monkeypatch),
        lambda index: add(index, "c.pdf", 8, seed=7, tokens=2),
        thorough=step == 1,
        step=step,
        look=look_at_many,
    )
    assert count >= 60 / step


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("name", OPERATIONS)
def test_too_few_files_may_be_opened_for_a_write_and_it_says_so(
    prepared: Path, tmp_path: Path, name: str
) -> None:
    import resource

    path, refused = tmp_path / "index", 0
    shutil.copytree(prepared, path)
    with LateInteractionIndex.open(path) as index:
        before = look_briefly(index)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        for left in range(12):
            highest = max(int(one.name) for one in Path("/dev/fd").iterdir())
            with ExitStack() as stack:
                stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
                resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 40, limit[1]))
                taken = take_all_files(stack)
                for _ in range(left):
                    os.close(taken.pop())
                try:
                    OPERATIONS[name](index)
                except ResourceError as error:
                    refused += 1
                    message = str(error)
                else:
                    break
            assert "too many open files" in message, f"{left} left"
            assert not ADVISES_DELETING.search(message)
            assert look_briefly(index) == before, f"{left} left"
        assert 1 <= refused < 12
        assert verify_index(index).problems == ()


def take_all_files(stack: ExitStack) -> list[int]:
    taken: list[int] = []
    stack.callback(lambda: [os.close(one) for one in taken])
    while True:
        try:
            taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return taken


@pytest.mark.parametrize("name", OPERATIONS)
def test_too_little_memory_for_a_write_is_named_and_the_last_commit_is_whole(
    prepared: Path, tmp_path: Path, name: str
) -> None:
    path, refused = tmp_path / "index", 0
    shutil.copytree(prepared, path)
    with LateInteractionIndex.open(path) as index:
        before = look_briefly(index)
        for more in range(2_000, 1_000_000, 12_000):
            try:
                with little_memory(more):
                    OPERATIONS[name](index)
            except ResourceError as error:
                refused += 1
                message = str(error)
            else:
                break
            assert "not enough memory" in message
            assert look_briefly(index) == before, f"{more} bytes more"
        assert 1 <= refused < 80
        assert verify_index(index).problems == ()


FULL_DISK = """
import json, os, sys
from pathlib import Path
from tests.index.folder.own_mounts import mount_alone
from tests.index.folder.shelf import KINDS, add, answers
from vdr_integrations.errors import IndexStoreError
from vdr_integrations.index import LateInteractionIndex
from vdr_integrations.index.verify import verify_index
disk = Path(sys.argv[1])
mount_alone(sys.argv[2])
ballast = disk / "ballast"
ballast.write_bytes(bytes(200_000))
index = KINDS["both"].create(disk / "index")
messages, number = [], 0
while len(messages) < 12:
    before = answers(index, seeds=(0,), brief=True)
    try:
        add(index, f"{number}.pdf", 1 + number % 7, seed=number, tokens=100)
    except IndexStoreError as error:
        messages.append(str(error))
        assert answers(index, seeds=(0,), brief=True) == before
        with LateInteractionIndex.open(disk / "index") as fresh:
            assert answers(fresh, seeds=(0,), brief=True) == before
    number += 1
assert verify_index(index).problems == ()
ballast.unlink()
documents = len(index.documents())
add(index, "last.pdf", 3, seed=99)
assert index.remove_document("0.pdf")
index.optimize()
assert len(index.documents()) == documents
assert verify_index(index).problems == ()
print(json.dumps(messages))
"""


def test_a_full_disk_is_named_and_what_was_committed_stays(
    tmp_path: Path, prepared_python: PreparedPython
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=1m none {disk}"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], check=False).returncode != 0:
        pytest.skip("no file system of one's own can be mounted here")
    ran = prepared_python.run("-c", FULL_DISK, str(disk), mount)
    assert ran.returncode == 0, ran.stderr
    messages = json.loads(ran.stdout)
    assert len(messages) == 12
    for message in messages:
        assert "disk is full" in message
        assert not ADVISES_DELETING.search(message)
