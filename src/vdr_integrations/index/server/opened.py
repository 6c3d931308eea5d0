"""An opened index of a collection: its settings, and whether it is still the same index."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from vdr_integrations.encoders.runtime.forks import PerProcess
from vdr_integrations.errors import (
    IndexFormatError,
    IndexLockedError,
    IndexNotFoundError,
    IndexStoreError,
)
from vdr_integrations.index.index_settings import Settings
from vdr_integrations.index.question_bank import QuestionBank
from vdr_integrations.index.server.collection import CHUNK_BYTES, Collection, Point
from vdr_integrations.index.server.points import (
    CommittedDocument,
    document_id,
    document_name,
    kept_page,
    read_document,
    text_digest,
    to_json,
)
from vdr_integrations.index.server.server_filter import DOCUMENTS, server_filter
from vdr_integrations.index.server.troubles import altered, damaged, made_again
from vdr_integrations.index.stored_page import stable_id

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from vdr_integrations.index.index_settings import Correction
    from vdr_integrations.index.server.calls import ServerCalls
    from vdr_integrations.index.server.points import KeptPage

__all__ = ["FORMAT_VERSION", "MANIFEST_ID", "OpenIndex"]

FORMAT_VERSION = 3
MANIFEST_ID = stable_id("manifest")
_APPLICATION = "vdr-integrations late interaction"
"""Earlier releases wrote the same text, so that messages can call their indexes old."""


class OpenIndex:
    """An existing index. Safe to call from any thread.

    Attributes:
        collection: The collection of the index.
        settings: Settings of the index.
        index_id: Random id of the index; data with another id does not belong to it.
    """

    def __init__(
        self, collection: Collection, settings: Settings, index_id: str, *, wait_s: float
    ) -> None:
        """Use :meth:`make` or :meth:`find`."""
        self.collection = collection
        self.settings = settings
        self.index_id = index_id
        self._wait_s = wait_s
        self._lock = PerProcess(threading.RLock)
        self._bank: QuestionBank | None = None

    @classmethod
    def make(
        cls,
        calls: ServerCalls,
        settings: Settings,
        *,
        bank: QuestionBank | None = None,
        wait_s: float,
    ) -> OpenIndex:
        """Make a collection that holds an empty index.

        Args:
            calls: Calls for the collection.
            settings: Settings of the index.
            bank: The question bank that the settings name.
            wait_s: Seconds that a write waits for a write of another thread.

        Raises:
            IndexStoreError: The collection exists already, or the server refuses.
        """
        collection = Collection(calls)
        collection.make(settings)
        made = cls(collection, settings, secrets.token_hex(16), wait_s=wait_s)
        try:
            if bank is not None:
                collection.upsert(_bank_points(bank))
            collection.upsert([_manifest_point(settings, made.index_id)])
            found = _manifest(collection)
        except BaseException:
            with suppress(IndexStoreError):
                collection.remove()  # it was just made, and is of no use without an index
            raise
        if found != (made.index_id, settings):
            raise IndexStoreError(
                f"another process made index {collection.location} at the same time; open it."
            )
        return made

    @classmethod
    def find(cls, calls: ServerCalls, *, wait_s: float) -> OpenIndex:
        """Open the index of a collection.

        Args:
            calls: Calls for the collection.
            wait_s: Seconds that a write waits for a write of another thread.

        Raises:
            IndexNotFoundError: There is no such collection.
            IndexFormatError: It holds something else, or an index of another format.
            IndexMismatchError: It was made with other options than the server has.
            IndexStoreError: The server cannot be used.
        """
        collection = Collection(calls)
        if not collection.exists():
            raise IndexNotFoundError(
                f"there is no collection {collection.location}; make it first."
            )
        index_id, settings = _manifest(collection)
        collection.find()
        return cls(collection, settings, index_id, wait_s=wait_s)

    def question_bank(self) -> QuestionBank | None:
        """The question bank that scores are corrected by; None if there is none.

        Raises:
            IndexFormatError: It is not what was written.
        """
        correction, tokens = self.settings.correction, self.settings.tokens
        if correction is None or tokens is None:
            return None
        if self._bank is None:
            self._bank = _read_bank(self.collection, correction, dimension=tokens.dimension)
        return self._bank

    @property
    def location(self) -> str:
        """The name of the index in messages."""
        return self.collection.location

    @contextmanager
    def writing(self) -> Generator[None]:
        """Keep out other threads that write with this object; a thread may enter several times.

        Raises:
            IndexLockedError: Another thread was still writing after ``wait_s``.
        """
        lock = self._lock.value
        if not lock.acquire(timeout=self._wait_s):
            raise IndexLockedError(
                f"another thread has been writing to index {self.location} with the same object "
                f"for longer than {self._wait_s:g} s; wait for it to end, then try again."
            )
        try:
            yield
        finally:
            lock.release()

    def refresh(self) -> None:
        """Check whether the collection was deleted and made again since it was opened.

        Raises:
            IndexMismatchError: It was made again with other settings.
            IndexFormatError: It does not hold an index any more.
        """
        index_id, settings = _manifest(self.collection)
        if settings != self.settings:
            raise made_again(self.location)
        self.index_id = index_id

    def page(self, point: Point) -> KeptPage:
        """The page of a point.

        Raises:
            IndexFormatError: The point is not what was written.
            IndexMismatchError: See :meth:`refresh`.
        """
        kept = kept_page(point, location=self.location)
        self._check(kept.index_id, kept.where)
        return kept

    def document_of(self, point: Point) -> CommittedDocument:
        """The document of a point; raises the errors of :meth:`page`."""
        found = read_document(point, location=self.location)
        self._check(found.index_id, found.record.source)
        return found

    def documents(
        self, sources: Iterable[str], *, everywhere: bool = False
    ) -> dict[str, CommittedDocument]:
        """The documents with these names as they are now; raises the errors of :meth:`page`.

        Args:
            sources: Names of documents.
            everywhere: See ``Collection.retrieve``.
        """
        ids = [document_id(source) for source in sources]
        points = self.collection.retrieve(ids, everywhere=everywhere)
        found = [self.document_of(point) for point in points]
        return {document.record.source: document for document in found}

    def all_documents(self) -> tuple[list[CommittedDocument], list[str]]:
        """All documents, sorted by source, and the names of those whose record was altered."""
        found: list[CommittedDocument] = []
        wrong: list[str] = []
        for point in self.collection.scroll(server_filter(DOCUMENTS)):
            try:
                found.append(self.document_of(point))
            except IndexFormatError:
                wrong.append(document_name(point))
        return sorted(found, key=lambda one: one.record.source), sorted(wrong)

    def whole_documents(self) -> list[CommittedDocument]:
        """All documents, sorted by source.

        Raises:
            IndexFormatError: The record of a document was altered.
        """
        found, wrong = self.all_documents()
        if wrong:
            raise altered(self.location, wrong[0], "its record was altered")
        return found

    def _check(self, index_id: str, where: str) -> None:
        if index_id == self.index_id:
            return
        self.refresh()
        if index_id != self.index_id:
            raise altered(self.location, where, "it was written to another index")


def _bank_points(bank: QuestionBank) -> list[Point]:
    data = bank.to_bytes()
    parts = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
    return [
        Point(_bank_id(number), {"kind": "bank", "data": base64.b64encode(part).decode()})
        for number, part in enumerate(parts)
    ]


def _bank_id(number: int) -> str:
    return stable_id("question bank", number)


def _read_bank(collection: Collection, correction: Correction, *, dimension: int) -> QuestionBank:
    length = 2 * correction.tokens * dimension
    ids = [_bank_id(number) for number in range(-(-length // CHUNK_BYTES))]
    found = {point.id: point.payload.get("data") for point in collection.retrieve(ids)}
    try:
        data = b"".join(base64.b64decode(found[one] or "", validate=True) for one in ids)
    except (KeyError, TypeError, ValueError):
        data = b""
    bank = QuestionBank.of_bytes(data, correction, dimension=dimension)
    if bank is None:
        raise damaged(collection.location, "its question bank was altered")
    return bank


def _manifest_point(settings: Settings, index_id: str) -> Point:
    text = to_json({"index": index_id, "settings": settings.to_json()})
    payload: dict[str, Any] = {
        "kind": "manifest",
        "application": _APPLICATION,
        "format_version": FORMAT_VERSION,
        "record": text,
        "sha256": text_digest(MANIFEST_ID, text),
    }
    return Point(MANIFEST_ID, payload)


def _manifest(collection: Collection) -> tuple[str, Settings]:
    """Index id and settings.

    Raises:
        IndexFormatError: They are missing, altered, or of another format.
    """
    found = list(collection.retrieve([MANIFEST_ID]))
    payload = found[0].payload if found else {}
    location = collection.location
    if payload.get("application") != _APPLICATION:
        raise IndexFormatError(
            f"collection {location} is not an index of vdr-integrations; give another collection."
        )
    version = payload.get("format_version")
    if version != FORMAT_VERSION:
        is_older = isinstance(version, int) and version < FORMAT_VERSION
        upgrade = "Index" if is_older else "Upgrade vdr-integrations, or index"
        raise IndexFormatError(
            f"index {location} has format version {version}; this release of vdr-integrations "
            f"reads version {FORMAT_VERSION}. {upgrade} the documents again into a new collection."
        )
    text = payload.get("record")
    if not isinstance(text, str) or text_digest(MANIFEST_ID, text) != payload.get("sha256"):
        raise damaged(location, "its settings were altered")
    try:
        record = json.loads(text)
        return record["index"], Settings.of_json(record["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(location, "its settings cannot be read") from error
