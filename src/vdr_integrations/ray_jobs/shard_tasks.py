"""Which shard has to do what: the documents that were found, dealt by their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.errors import IndexMismatchError
from vdr_integrations.index.shards.shard_folders import shard_of
from vdr_integrations.index.sync.remote_survey import survey_urls
from vdr_integrations.index.sync.survey import Survey, survey_files
from vdr_integrations.index.sync.sync_report import SyncFailure, SyncReport
from vdr_integrations.pages.remote_documents import remote_folder
from vdr_integrations.pages.store_place import store_place
from vdr_integrations.ray_jobs.shard_work import ShardTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.index.records import DocumentRecord
    from vdr_integrations.pages.remote_documents import RemoteDocument

__all__ = ["DealtTasks", "dealt"]


@dataclass(frozen=True, slots=True)
class DealtTasks:
    """What a run has to do.

    Attributes:
        tasks: Those of the shards that have anything to do.
        report: What is said of paths that name nothing.
    """

    tasks: list[ShardTask]
    report: SyncReport


def dealt(
    paths: Sequence[str | Path],
    known: Sequence[Sequence[DocumentRecord]],
    *,
    count: int,
    drop_missing: bool,
) -> DealtTasks:
    """Find the files once, and deal them.

    A document that a shard has already stays there, also if its file has another name now; the
    name of another one chooses.

    Args:
        paths: See ``sync_index``; and URLs of documents, as texts.
        known: The documents of each shard; those of a server as one.
        count: Number of shards.
        drop_missing: See ``sync_index``.

    Raises:
        IndexMismatchError: A document is in two shards.
        ResourceError: This machine cannot open more files.
    """
    records, owners = _owned(known, count)
    urls = {str(path): folder for path in paths if (folder := remote_folder(path)) is not None}
    local = [_local(path) for path in paths if str(path) not in urls]
    survey = survey_files(local, records, drop_missing=drop_missing)
    remote = survey_urls(urls.values(), records, drop_missing=drop_missing)
    for source, name in survey.superseded.items():
        owners.setdefault(name, owners[source])  # so that one commit replaces the old name
    report = SyncReport()
    errors = [*survey.errors, *remote.errors]
    report.failed += [SyncFailure(one.source, None, one) for one in errors]
    parts = [Survey([], [], {}, {}, set()) for _ in range(count)]
    fetched: list[list[RemoteDocument]] = [[] for _ in range(count)]
    for path in survey.found:
        source = path.as_posix()
        parts[owners.get(source, shard_of(source, count))].found.append(path)
    for source, document in remote.found.items():
        fetched[owners.get(source, shard_of(source, count))].append(document)
    for source, name in survey.superseded.items():
        here = owners[source] == owners.get(name, shard_of(name, count))
        if here or name in records:  # else it may be unreadable in the other shard
            parts[owners[source]].superseded[source] = name
    for source, absence in {**survey.absent, **remote.absent}.items():
        parts[owners[source]].absent[source] = absence
    for source in survey.movable:
        parts[owners[source]].movable.add(source)
    mine: list[dict[str, str]] = [{} for _ in range(count)]
    for source, one in records.items():
        mine[owners[source]][source] = one.file.sha256
    tasks = [
        ShardTask(number=number, survey=part, remote=fetched[number], known=mine[number])
        for number, part in enumerate(parts)
        if part.found or fetched[number] or part.superseded or part.absent
    ]
    return DealtTasks(tasks, report)


def _owned(
    known: Sequence[Sequence[DocumentRecord]], count: int
) -> tuple[dict[str, DocumentRecord], dict[str, int]]:
    """All known documents by name, and the shard of each."""
    owners: dict[str, int] = {}
    records: dict[str, DocumentRecord] = {}
    for number, documents in enumerate(known):
        for one in documents:
            if one.source in records:
                raise IndexMismatchError(
                    f"{one.source} is in two shards, so its pages would be found twice; vdr rm "
                    f"removes it from one of them."
                )
            records[one.source] = one
            owners[one.source] = number if len(known) > 1 else shard_of(one.source, count)
    return records, owners


def _local(path: str | Path) -> Path:
    """A path, or what a URL of a folder of this machine means."""
    if isinstance(path, str) and "://" in path:
        place = store_place(path)
        assert isinstance(place, Path)  # noqa: S101  # else it would be remote
        return place
    return Path(path)
