"""The ``Engine`` of an index on a Qdrant server or cluster."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from vdr_integrations.encoders.checkpoints.digests import digest_of
from vdr_integrations.index.engine import LOCK_WAIT_S, Engine
from vdr_integrations.index.server.calls import ServerCalls
from vdr_integrations.index.server.checking import check_document, check_files
from vdr_integrations.index.server.codebook_points import FirstStage
from vdr_integrations.index.server.opened import OpenIndex
from vdr_integrations.index.server.reader import ServerReader
from vdr_integrations.index.server.search import ServerSearch
from vdr_integrations.index.server.server_searches import ServerSearches
from vdr_integrations.index.server.writer import ServerWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from vdr_integrations.index.index_settings import Settings
    from vdr_integrations.index.question_bank import QuestionBank
    from vdr_integrations.index.server.qdrant_server import QdrantServer

__all__ = ["ServerEngine"]


class ServerEngine(Engine):
    """Any number of processes read; only one at a time may write a document. See ``Engine``.

    Scores are the same as those of a folder: vectors are rounded as a folder rounds them, and the
    pages that the server finds are scored again from the stored vectors. A server cannot store
    8-bit numbers with one scale per token; ``int8`` vectors are rounded that way and stored as
    float32, which saves no space here.
    """

    keeps_processes_out = False

    def __init__(self, calls: ServerCalls, index: OpenIndex) -> None:
        """Use :meth:`create` or :meth:`open`."""
        self.settings: Settings = index.settings
        self.path: Path | str = index.location
        self._calls = calls
        self._index = index
        self._first_stage = FirstStage(index)
        self._reader = ServerReader(index)
        search = ServerSearch(index, self._reader, self._first_stage)
        self._search = ServerSearches(index, search)
        self._writer = ServerWriter(index, self._reader, self._first_stage)

    @classmethod
    def create(
        cls,
        server: QdrantServer,
        settings: Settings,
        *,
        bank: QuestionBank | None = None,
        wait_s: float = LOCK_WAIT_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> ServerEngine:
        """Make a collection that holds an empty index, and open it.

        Args:
            server: Server and collection.
            settings: Settings of the index.
            bank: The question bank that the settings name.
            wait_s: How long a write waits for a write of another thread.
            sleep: Waits so many seconds before a call is tried again.

        Raises:
            IndexStoreError: The collection exists already, or the server cannot be used.
            MissingExtraError: qdrant-client is not installed.
        """
        calls = ServerCalls(server, sleep=sleep)
        try:
            return cls(calls, OpenIndex.make(calls, settings, bank=bank, wait_s=wait_s))
        except BaseException:
            calls.close()
            raise

    @classmethod
    def open(
        cls,
        server: QdrantServer,
        *,
        wait_s: float = LOCK_WAIT_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> ServerEngine:
        """Open the index of a collection.

        Args:
            server: Server and collection.
            wait_s: How long a write waits for a write of another thread.
            sleep: Waits so many seconds before a call is tried again.

        Raises:
            IndexNotFoundError: There is no such collection.
            IndexFormatError: It holds something else, or an index of another format.
            IndexStoreError: The server cannot be used.
            MissingExtraError: qdrant-client is not installed.
        """
        calls = ServerCalls(server, sleep=sleep)
        try:
            return cls(calls, OpenIndex.find(calls, wait_s=wait_s))
        except BaseException:
            calls.close()
            raise

    @property
    def index_id(self) -> str:
        """See ``Engine``."""
        return self._index.index_id

    @property
    def unfinished_folder(self) -> Path:
        """See ``Engine``: in the cache folder of the user, because a server keeps no such files."""
        place = digest_of([str(self.path), self.index_id])
        return user_cache_path("vdr-integrations") / "unfinished" / place[:32]

    @property
    def reads(self) -> ServerReader:
        """See ``Engine``."""
        return self._reader

    @property
    def searches(self) -> ServerSearches:
        """See ``Engine``."""
        return self._search

    @property
    def writes(self) -> ServerWriter:
        """See ``Engine``."""
        return self._writer

    def writing(self) -> AbstractContextManager[None]:
        """See ``Engine``; this only keeps out other threads that use this object."""
        return self._index.writing()

    def optimize(self) -> None:
        """Complete the first stage; the server frees space by itself."""
        with self._index.writing():
            self._first_stage.bring_up(everything=True)

    def clean_up(self) -> int:
        """See ``Engine``; no other writer may be at work."""
        return self._writer.clean_up()

    def check_files(self) -> Iterator[str]:
        """See ``Engine``."""
        return check_files(self._index, self._first_stage)

    def check_document(self, source: str) -> tuple[int, list[str]]:
        """See ``Engine``."""
        return check_document(self._index, self._reader, source)

    def close(self) -> None:
        """See ``Engine``; a client that the caller gave stays open."""
        self._calls.close()
