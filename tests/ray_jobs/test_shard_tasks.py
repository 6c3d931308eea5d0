"""Documents are dealt to shards, each to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.ray_jobs.ray_runs import write_documents

from vdr_integrations.errors import IndexMismatchError
from vdr_integrations.index.records import DocumentRecord, FileState
from vdr_integrations.index.shards.shard_folders import shard_of
from vdr_integrations.index.sync.survey import Absence
from vdr_integrations.ray_jobs.shard_tasks import dealt

if TYPE_CHECKING:
    from pathlib import Path


def known(path: Path | str) -> DocumentRecord:
    state = FileState(sha256="ab" * 32, size_bytes=1, modified_ns=1, checked_ns=2)
    return DocumentRecord(source=str(path), file=state, total_pages=1)


def test_every_document_is_in_one_shard_and_those_that_are_known_stay(tmp_path: Path) -> None:
    paths = write_documents(tmp_path, 9, pages=1)
    wrong = [(shard_of(path.as_posix(), 3) + 1) % 3 for path in paths]
    records = [[known(p) for p, n in zip(paths, wrong, strict=True) if n == s] for s in range(3)]
    for there in ([[], [], []], records):
        found = dealt([tmp_path], there, count=3, drop_missing=False)
        owner = {path.name: task.number for task in found.tasks for path in task.survey.found}
        assert len(owner) == sum(len(task.survey.found) for task in found.tasks) == 9
        for path, other in zip(paths, wrong, strict=True):
            wanted = other if any(there) else shard_of(path.as_posix(), 3)
            assert owner[path.name] == wanted


def test_a_gone_document_is_the_business_of_its_shard(tmp_path: Path) -> None:
    write_documents(tmp_path, 1, pages=1)
    gone = tmp_path / "gone.pdf"
    for there in ([[], [known(gone)]], [[known(gone)]]):  # two folders; one collection
        found = dealt([tmp_path], there, count=2, drop_missing=False)
        owner = 1 if len(there) == 2 else shard_of(gone.as_posix(), 2)
        (task,) = [task for task in found.tasks if task.survey.absent]
        assert task.number == owner
        assert task.survey.absent == {gone.as_posix(): Absence.DROPPED}
        assert task.known == {gone.as_posix(): "ab" * 32}
    assert dealt([tmp_path], [[], []], count=2, drop_missing=False).tasks[0].known == {}


def test_a_document_in_two_shards_is_refused(tmp_path: Path) -> None:
    twice = known(tmp_path / "twice.pdf")
    with pytest.raises(IndexMismatchError, match="is in two shards"):
        dealt([tmp_path], [[twice], [twice]], count=2, drop_missing=False)


def test_a_file_with_a_new_name_stays_in_its_shard_so_its_pages_are_never_there_twice(
    tmp_path: Path,
) -> None:
    (path,) = write_documents(tmp_path / "documents", 1, pages=1)
    old = tmp_path / "old.pdf"
    old.hardlink_to(path)
    owner = 1 - shard_of(path.as_posix(), 2)  # the new name alone would choose the other
    records = [[known(old)] if owner == number else [] for number in range(2)]
    found = dealt([tmp_path / "documents"], records, count=2, drop_missing=False)
    (task,) = found.tasks
    assert task.number == owner
    assert task.survey.found == [path]
    assert task.survey.superseded == {old.as_posix(): path.as_posix()}


def test_what_cannot_be_found_is_told_once(tmp_path: Path) -> None:
    found = dealt([tmp_path / "nowhere"], [[], []], count=2, drop_missing=False)
    assert found.tasks == []
    assert len(found.report.failed) == 1
