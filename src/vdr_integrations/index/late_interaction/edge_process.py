"""Qdrant Edge in a process of its own.

The binding holds Python's lock while it searches (130 ms for 1,000 pages, exhaustively): in the
caller's process every other thread and every event loop would stand still. It also ends the
process when a file of the store was cut short; here that is an error. One request at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import filelock

from vdr_integrations.errors import (
    IndexFormatError,
    IndexLockedError,
    IndexNotFoundError,
    IndexStoreError,
)
from vdr_integrations.index.late_interaction.edge_messages import receive, send

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index.late_interaction.engine import Point, Recall, Schema
    from vdr_integrations.index.late_interaction.filters import Where

__all__ = ["LOCK_NAME", "SHARD_NAME", "EdgeEngine"]

LOCK_NAME = "writer.lock"
SHARD_NAME = "shard"
_UNFINISHED_NAME = "shard.unfinished"
_ORPHAN_S = 60.0
"""How long the process of a killed owner may take to finish its last write."""

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from vdr_integrations.index.late_interaction.edge_worker import serve; serve()"
)


class EdgeEngine:
    """Implements ``Engine`` by asking an ``EdgeShard`` in another process.

    The folder belongs to one engine at a time; its lock is let go when this process dies.
    """

    is_exclusive = True

    def __init__(self, folder: Path) -> None:
        """Use :meth:`create` or :meth:`open`."""
        self.location = str(folder)
        self._folder = folder
        self._owner = os.getpid()
        self._asking = threading.Lock()
        self._lock = filelock.FileLock(folder / LOCK_NAME, timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            raise IndexLockedError(
                f"index {folder} is open already, here or in another process; "
                f"close it there first, or use a Qdrant server."
            ) from error
        self._process = _start()
        self._stop = weakref.finalize(self, _stop, self._process, self._lock)

    @classmethod
    def create(cls, folder: Path, schema: Schema, first: Sequence[Point]) -> EdgeEngine:
        """Make a store that holds ``first``, whole or not at all, and open it.

        Raises:
            IndexFormatError: The folder holds other files, or the path is a file.
            IndexStoreError: The folder holds an index already.
            MissingExtraError: qdrant-edge-py is not installed.
        """
        if folder.exists() and not folder.is_dir():
            raise IndexFormatError(f"index {folder} is a file; an index is a folder of its own.")
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / SHARD_NAME).exists():
            raise IndexStoreError(f"folder {folder} holds an index already; open it instead.")
        ours = {LOCK_NAME, _UNFINISHED_NAME}
        foreign = sorted(entry.name for entry in folder.iterdir() if entry.name not in ours)
        if foreign:
            raise IndexFormatError(
                f"folder {folder} is not an index and holds other files ({foreign[0]!r}); "
                f"give a new or empty folder."
            )
        engine = cls(folder)
        try:
            shutil.rmtree(folder / _UNFINISHED_NAME, ignore_errors=True)
            engine._ask("create", str(folder / _UNFINISHED_NAME), schema)
            engine.upsert(first)
            engine.flush()
            engine._ask("close")
            (folder / _UNFINISHED_NAME).rename(folder / SHARD_NAME)
            engine._load()
        except BaseException:
            engine.close()
            raise
        return engine

    @classmethod
    def open(cls, folder: Path) -> EdgeEngine:
        """Open a store.

        Raises:
            IndexNotFoundError: There is no index in the folder.
            IndexLockedError: It is open already.
            IndexFormatError: It is damaged.
            MissingExtraError: qdrant-edge-py is not installed.
        """
        if not (folder / SHARD_NAME).is_dir():
            raise IndexNotFoundError(f"there is no index in {folder}; make one first (vdr index).")
        engine = cls(folder)
        try:
            engine._load()
        except BaseException:
            engine.close()
            raise
        return engine

    def use_quantization(self, quantization: str | None) -> None:
        """Search by quantised copies."""
        self._ask("use_quantization", quantization)

    def upsert(self, points: Sequence[Point]) -> None:
        """See ``Engine``."""
        self._ask("upsert", points)

    def delete(self, ids: Sequence[str]) -> None:
        """See ``Engine``."""
        self._ask("delete", ids)

    def delete_where(self, where: Where) -> None:
        """See ``Engine``."""
        self._ask("delete_where", where)

    def retrieve(self, ids: Sequence[str], *, vectors: Sequence[str] = ()) -> list[Point]:
        """See ``Engine``."""
        return self._ask("retrieve", ids, vectors=vectors)

    def scroll(
        self, where: Where, *, limit: int, after: str | None = None
    ) -> tuple[list[Point], str | None]:
        """See ``Engine``."""
        return self._ask("scroll", where, limit=limit, after=after)

    def count(self, where: Where) -> int:
        """See ``Engine``."""
        return self._ask("count", where)

    def versions(self) -> dict[str, int]:
        """See ``Engine``."""
        return self._ask("versions")

    def query(
        self,
        query: NDArray[np.float32],
        *,
        limit: int,
        where: Where,
        recall: Recall | None,
        exact: bool,
    ) -> list[tuple[str, float]]:
        """See ``Engine``."""
        return self._ask("query", query, limit=limit, where=where, recall=recall, exact=exact)

    def flush(self) -> None:
        """See ``Engine``."""
        self._ask("flush")

    def optimize(self) -> None:
        """See ``Engine``."""
        self._ask("optimize")

    def close(self) -> None:
        """See ``Engine``."""
        if os.getpid() == self._owner:
            with self._asking:
                self._stop()

    def _load(self) -> None:
        # The lock is ours, so whoever holds the shard is the process of an owner that was killed.
        deadline = time.monotonic() + _ORPHAN_S
        while True:
            try:
                self._ask("load", str(self._folder / SHARD_NAME))
            except IndexLockedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def _ask(self, method: str, *args: object, **options: object) -> Any:  # noqa: ANN401  # what the method gives
        if os.getpid() != self._owner:
            raise IndexStoreError(
                f"index {self.location} was opened before this process was forked; open it here."
            )
        with self._asking:
            if not self._stop.alive:
                raise IndexStoreError(f"index {self.location} is closed; open it again.")
            try:
                send(self._process.stdin, (method, args, options))
                answer, error = receive(self._process.stdout)
            except (OSError, EOFError) as failure:
                self._stop()
                raise IndexStoreError(
                    f"index {self.location}: its process ended (code {self._process.returncode}) "
                    f"during {method}. Open the index again; if that does not help it is damaged: "
                    f"delete the folder and index the documents again."
                ) from failure
            except BaseException:  # interrupted half-way: the next answer would be this one's
                self._stop()
                raise
        if error is not None:
            raise error
        return answer


def _start() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603  # this Python, a constant
        [sys.executable, "-c", _START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "RUST_BACKTRACE": "0"},
        # Ctrl-C is the owner's to handle; its end is ours.
        start_new_session=sys.platform != "win32",
    )
    if process.stdin is not None:
        process.stdin.write(json.dumps([*map(str, sys.path)]).encode() + b"\n")
        process.stdin.flush()
    return process


def _stop(process: subprocess.Popen[bytes], lock: filelock.BaseFileLock) -> None:
    """End the other process, which closes its store; also at exit and when nobody holds us."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()
    lock.release()
