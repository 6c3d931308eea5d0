"""What one actor does with one shard: draw, let the model run, write, and say what was done."""

from __future__ import annotations

import atexit
import os
import pickle
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from vdr_integrations.errors import EncodingError, IndexNotFoundError, ResourceError, VdrError
from vdr_integrations.index import open_index
from vdr_integrations.index.shards.shard_folders import shard_folders
from vdr_integrations.index.sync.fetched_file import FetchedFile
from vdr_integrations.index.sync.page_encoding import PageEncoding
from vdr_integrations.index.sync.source_files import FoundFiles, LocalFile
from vdr_integrations.index.sync.synchronise import sync_found
from vdr_integrations.pages.processes.process_pool import close_pools
from vdr_integrations.ray_jobs.cluster import node_name, ray_module
from vdr_integrations.ray_jobs.document_copies import folder_of_copies
from vdr_integrations.ray_jobs.encoding_actor import asked_until_it_is_back
from vdr_integrations.ray_jobs.shard_tries import MOST_TRIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.index.records import DocumentRecord
    from vdr_integrations.index.server.qdrant_server import QdrantServer
    from vdr_integrations.index.sync.page_encoding import SyncEncoder
    from vdr_integrations.index.sync.source_files import SourceFile
    from vdr_integrations.index.sync.survey import Survey
    from vdr_integrations.index.sync.sync_report import SyncReport
    from vdr_integrations.pages.remote_documents import RemoteDocument
    from vdr_integrations.ray_jobs.pool_encoders import PoolEncoders

__all__ = ["ShardOutcome", "ShardPlan", "ShardTask", "ShardWorker"]

_TRIES = 4
_BACK_S = 900.0
"""How long a shard waits for the first encoder that is back, if all were lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlan:
    """What all shards have in common.

    Attributes:
        encoders: The encoding actors, and what encoders are made of them.
        root: Folder of the set; None for a server.
        set_id: What the set must be.
        server: The collection; None for folders.
        options: Options of ``sync_index``.
        wait_s: How long a write waits for another writer; a killed one may take seconds to end.
        tries: The actor of ``ShardTries``.
    """

    encoders: PoolEncoders
    root: Path | None
    set_id: str
    server: QdrantServer | None
    options: Mapping[str, Any]
    wait_s: float
    tries: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardTask:
    """What there is to do for a shard.

    Attributes:
        number: Its number.
        survey: The part of what was found that belongs to it.
        remote: Documents of URLs that belong to it.
        known: SHA-256 of the file of each document that it has, before this run.
    """

    number: int
    survey: Survey
    remote: Sequence[RemoteDocument] = ()
    known: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """What became of a shard.

    Attributes:
        number: Its number.
        report: What was done; None after an error.
        error: Why it could not be done.
    """

    number: int
    report: SyncReport | None
    error: VdrError | None = None


class ShardWorker:
    """A callable for ``map_batches``: rows with ``task`` in, rows with ``outcome`` out.

    If this actor is killed, Ray starts another one, which goes on with the shard: committed
    documents are there, and pages of the others were kept.
    """

    def __init__(self, plan: ShardPlan) -> None:
        """Connect to nothing yet."""
        self._plan = plan
        atexit.register(_end_at_once)

    def __call__(self, rows: dict[str, NDArray[Any]]) -> dict[str, list[bytes]]:
        """Do the tasks, one after the other."""
        tasks: list[ShardTask] = [pickle.loads(row) for row in rows["task"]]  # noqa: S301  # of the driver
        return {"outcome": [pickle.dumps(self._outcome(task)) for task in tasks]}

    def _outcome(self, task: ShardTask) -> ShardOutcome:
        try:
            return ShardOutcome(task.number, self._done(task))
        except VdrError as error:
            error.__traceback__ = None
            return ShardOutcome(task.number, None, error)
        except OSError as problem:
            error = VdrError(f"shard {task.number} on {node_name()}: {problem}")
            return ShardOutcome(task.number, None, error)

    def _done(self, task: ShardTask) -> SyncReport:
        _count_try(self._plan.tries, task.number)
        lost: list[str] = []
        for left in reversed(range(_TRIES)):
            encoder = self._plan.encoders.encoder()
            try:
                with self._opened(task.number) as index:
                    report = self._synchronised(index, encoder, task)
            except EncodingError:
                now = PageEncoding(encoder).troubles()
                if not left or not now:  # it is no matter of actors that ended
                    raise
                lost += now
            else:
                report.troubles = [*lost, *report.troubles]
                return report
            _wait_for_one(self._plan)
        raise AssertionError  # pragma: no cover

    def _opened(self, number: int) -> PageIndex:
        plan = self._plan
        if plan.server is not None:
            return open_index(plan.server, wait_s=plan.wait_s)
        assert plan.root is not None  # noqa: S101  # one of both is given
        try:
            folders = shard_folders(plan.root, set_id=plan.set_id)
        except IndexNotFoundError as error:
            raise IndexNotFoundError(
                f"{plan.root} on {node_name()} is not the folder that the indexing was started "
                f"with. All machines of the cluster must see it at the same path, as on a shared "
                f"file system."
            ) from error
        return open_index(folders[number], wait_s=plan.wait_s)

    def _synchronised(self, index: PageIndex, encoder: SyncEncoder, task: ShardTask) -> SyncReport:
        own = {path.as_posix() for path in task.survey.found} | set(task.known)
        own |= {document.source for document in task.remote}

        with folder_of_copies() as copies:
            files: list[SourceFile] = [LocalFile(path) for path in task.survey.found]
            files += [
                FetchedFile(document, copies / str(number))
                for number, document in enumerate(task.remote)
            ]

            def found(_: Mapping[str, DocumentRecord]) -> FoundFiles:
                return FoundFiles(task.survey, files, own.__contains__)

            report = sync_found(index, encoder, found, **self._plan.options)
        if self._plan.server is None and (report.changed or report.removed):
            index.optimize()
        _tell_from_the_beginning(report, index, task.known)
        return report


def _end_at_once() -> NoReturn:
    """Leave without taking Ray's C++ apart: that waits for itself at times, for ever.

    Ray has let go of this process by now, and would not end it.
    """
    try:
        close_pools()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _tell_from_the_beginning(
    report: SyncReport, index: PageIndex, known: Mapping[str, str]
) -> None:
    """Let a report say what has become of the documents since before the first try of a run.

    What an actor had committed before it was killed looks unchanged to the one after it.
    """
    unchanged: list[str] = []
    for source in report.unchanged:
        record = index.document(source)
        if source not in known:
            report.added.append(source)
        elif record is not None and record.file.sha256 != known[source]:
            report.changed.append(source)
        else:
            unchanged.append(source)
    report.unchanged = unchanged
    told = {*report.removed, *report.missing, *report.added, *report.changed, *unchanged}
    report.removed += [
        source for source in known if source not in told and index.document(source) is None
    ]


def _count_try(tries: Any, number: int) -> None:  # noqa: ANN401  # a handle of Ray
    """Refuse a shard whose actors end again and again.

    Raises:
        ResourceError: They did.
    """
    ray = ray_module()
    try:
        count = ray.get(tries.begin.remote(number))
    except ray.exceptions.RayError:
        return  # it is on a machine that has ended, and counts anew
    if count > MOST_TRIES:
        raise ResourceError(
            f"shard {number}: the actor that draws and writes it has ended {MOST_TRIES} times, the "
            f"last time before {node_name()}. Look at the memory of the machines; what was "
            f"committed is in the index."
        )


def _wait_for_one(plan: ShardPlan) -> None:
    """Wait until an encoding actor answers again.

    Raises:
        EncodingError: None did.
    """
    ray = ray_module()
    deadline = time.monotonic() + _BACK_S
    actors = plan.encoders.pool.actors
    calls = [asked_until_it_is_back(actor) for actor in actors]
    while calls and time.monotonic() < deadline:
        ready, _ = ray.wait(calls, num_returns=1, timeout=max(deadline - time.monotonic(), 0))
        for call in ready:
            calls.remove(call)
            try:
                if not isinstance(ray.get(call), VdrError):
                    return
            except ray.exceptions.RayError:
                continue
    raise EncodingError(
        f"none of the {len(actors)} encoding actors came back. What was encoded is kept: run "
        f"this again when the machines are there."
    )
