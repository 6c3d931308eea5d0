"""A page store at a URL: how its objects are written, listed and removed.

Object stores write an object completely or not at all, and read at once what was written. They
cannot rename, lock, or set the time of an object. So whoever needs a page writes an empty object
``renewed/ab/abcd...`` **before** it looks whether the page is there, and the age of a page is that
of the younger of both. Whoever removes a page copies it aside, deletes it, and **then** reads the
age of this object once more: it puts the page back if somebody has renewed it. One of both always
sees the other, in whatever order they run: a page that was renewed before that last look is put
back, and who renews it later finds no page and writes it again. Two may remove at a time: who
finds at the last look that the other has deleted the empty object puts the page back too.

A page that lies aside is put back by the next prune, should the first be killed: nothing is lost.
Kinds of file systems that are no object stores write into ``unfinished/`` and rename.
"""

from __future__ import annotations

import errno
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import repeat
from typing import IO, TYPE_CHECKING, Any

from vdr_integrations.pages.remote_calls import OTHER_KIND, TRY_AGAIN, remote_calls, time_ns_of
from vdr_integrations.pages.remote_systems import opened_system
from vdr_integrations.pages.store_files import (
    ABANDONED_NS,
    PAGE_NAME,
    SHARD,
    UNFINISHED,
    UNFINISHED_NAME,
    StoreFile,
    inside,
)
from vdr_integrations.pages.store_trouble import RemoteStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from vdr_integrations.pages.store_place import StoreUrl

__all__ = ["RemoteFiles"]

_AT_ONCE = 16
"""Requests of one listing or removal that run beside each other."""
_RENEWED = "renewed"
_DIGITS = re.compile(r"[0-9a-f]{64}")
_ASIDE = "aside_"
_CLOCK = "0" * 64
_WHOLE = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "cos", "tos", "memory"}
)
"""Kinds whose files appear when they are complete."""


@dataclass(frozen=True, slots=True)
class RemoteFiles:
    """The objects below the URL of a store; see ``StoreFiles``. Threads may share it.

    Attributes:
        place: The URL.
    """

    place: StoreUrl

    def read(self, digits: str) -> bytes:
        """The object of a page."""
        with self._calls():
            data: object = self._system.cat_file(self._path(inside(digits)))
        if not isinstance(data, bytes):  # what fsspec returns for a call that was cancelled
            raise RemoteStoreError(errno.EIO, "the read was interrupted", advice=TRY_AGAIN)
        return data

    def has(self, digits: str) -> bool:
        """Whether there is an object of a page."""
        return self._facts(inside(digits)) is not None

    def write(self, digits: str, save: Callable[[IO[bytes]], object]) -> None:
        """Write a page, completely or not at all; an older object of it is replaced."""
        data = BytesIO()
        save(data)
        path = self._path(inside(digits))
        with self._calls(is_missing=_GONE):
            if self._system_writes_whole:
                self._system.pipe_file(path, data.getvalue())
                return
            aside = self._aside(digits, secrets.token_hex(4))
            for one in (path, aside):
                self._system.makedirs(one.rpartition("/")[0], exist_ok=True)
            try:
                self._system.pipe_file(aside, data.getvalue())
                self._system.mv(aside, path)
            except BaseException:
                with suppress(Exception):
                    self._system.rm_file(aside)
                raise

    def renew(self, digits: str) -> None:
        """Make a page count as written now, if this user may write there."""
        try:
            with self._calls(is_missing=_GONE):
                path = self._path(_marker(digits))
                if not self._system_writes_whole:
                    self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
                self._system.pipe_file(path, b"")
        except RemoteStoreError as trouble:
            if trouble.errno not in {errno.EACCES, errno.ENOTSUP}:
                raise

    def pages(self) -> Iterator[StoreFile]:
        """The pages, in no order; nothing else that lies there."""
        shards = [name for name, _ in self._listed("") if SHARD.fullmatch(name)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for found in pool.map(self._pages_of, shards):
                yield from found

    def unfinished(self) -> Iterator[StoreFile]:
        """Objects that writers have not finished, and pages that a killed removal left aside."""
        for name, facts in self._listed(UNFINISHED):
            if UNFINISHED_NAME.fullmatch(name):
                yield self._file(f"{UNFINISHED}/{name}", name[:64], facts)

    def now_ns(self) -> int:
        """The time of the server's clock: that of an object that is written to ask it."""
        name = f"{UNFINISHED}/{_CLOCK}.{secrets.token_hex(4)}.tmp"
        with self._calls(is_missing=_GONE):
            if not self._system_writes_whole:
                self._system.makedirs(self._path(UNFINISHED), exist_ok=True)
            self._system.pipe_file(self._path(name), b"")
        facts = self._facts(name)
        self._remove_object(name)
        return self._time_ns(facts or {}, name)

    def remove_abandoned(self, *, now_ns: int) -> list[StoreFile]:
        """Remove the unfinished objects that nobody has written to for an hour.

        A page that a killed removal left aside is put back if it is not there.
        """
        removed: list[StoreFile] = []
        for file in self.unfinished():
            if file.modified_ns >= now_ns - ABANDONED_NS:
                continue
            name = f"{UNFINISHED}/{file.path.rpartition('/')[2]}"
            if f".{_ASIDE}" in name and not self.has(file.digits):
                self._copy(name, inside(file.digits))
            self._remove_object(name)
            removed.append(file)
        return removed

    def remove_if_older(self, pages: Iterable[str], *, than_ns: int) -> list[int]:
        """Remove the pages that were neither written nor renewed since a time."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            freed = list(pool.map(self._remove, pages, repeat(than_ns)))
        return [size_bytes for size_bytes in freed if size_bytes is not None]

    def _remove(self, digits: str, than_ns: int) -> int | None:
        """Number of freed bytes; None if the page stays, or is gone already."""
        page, marker = inside(digits), _marker(digits)
        aside = f"{UNFINISHED}/{digits}.{_ASIDE}{secrets.token_hex(4)}.tmp"
        first = self._facts(marker)
        if self._is_young(first, than_ns) or not self._copy(page, aside):
            return None
        facts = self._facts(page)
        if facts is None or self._is_young(facts, than_ns):
            self._remove_object(aside)
            return None
        self._remove_object(page)
        last = self._facts(marker)
        # Gone since: another removal deleted it, and perhaps that of a writer who came in between.
        is_taken = first is not None and last is None
        if is_taken or self._is_young(last, than_ns):
            self._copy(aside, page)
            self._remove_object(aside)
            return None
        if last is not None:
            self._remove_object(marker)
        self._remove_object(aside)
        return int(facts["size"])

    def _pages_of(self, shard: str) -> list[StoreFile]:
        renewed = {
            name: self._time_ns(facts, name)
            for name, facts in self._listed(f"{_RENEWED}/{shard}")
            if _DIGITS.fullmatch(name)
        }
        found: list[StoreFile] = []
        for name, facts in self._listed(shard):
            if PAGE_NAME.fullmatch(name) and name.startswith(shard) and facts["type"] == "file":
                file = self._file(inside(name[:64]), name[:64], facts)
                modified_ns = max(file.modified_ns, renewed.get(file.digits, 0))
                found.append(StoreFile(file.path, file.digits, file.size_bytes, modified_ns))
        return found

    def _is_young(self, facts: Mapping[str, Any] | None, than_ns: int) -> bool:
        return facts is not None and self._time_ns(facts, str(facts["name"])) >= than_ns

    def _copy(self, name: str, to: str) -> bool:
        """Copy an object on the server; False if there is none."""
        try:
            with self._calls():
                if not self._system_writes_whole:
                    self._system.makedirs(self._path(to).rpartition("/")[0], exist_ok=True)
                self._system.cp_file(self._path(name), self._path(to))
        except FileNotFoundError:
            return False
        return True

    def _remove_object(self, name: str) -> None:
        with suppress(FileNotFoundError), self._calls():
            self._system.rm_file(self._path(name))

    def _listed(self, folder: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Names and facts of what lies in a folder; nothing if there is no such folder."""
        try:
            with self._calls():
                found: list[dict[str, Any]] = self._system.ls(self._path(folder), detail=True)
        except FileNotFoundError:
            return []
        named = [(str(facts["name"]).rstrip("/").rpartition("/")[2], facts) for facts in found]
        return [(name, facts) for name, facts in named if name]

    def _facts(self, name: str) -> Mapping[str, Any] | None:
        """What the store says of an object; None if there is none."""
        try:
            with self._calls():
                facts: dict[str, Any] = self._system.info(self._path(name))
        except FileNotFoundError:
            return None
        return facts if facts.get("type") == "file" else None

    def _file(self, name: str, digits: str, facts: Mapping[str, Any]) -> StoreFile:
        size_bytes, modified_ns = int(facts["size"] or 0), self._time_ns(facts, name)
        return StoreFile(self._path(name), digits, size_bytes, modified_ns)

    def _time_ns(self, facts: Mapping[str, Any], name: str) -> int:
        found = time_ns_of(facts)
        if found is None:
            raise RemoteStoreError(
                errno.ENOTSUP, f"it does not say when {name} was written", advice=OTHER_KIND
            )
        return found

    @property
    def _system(self) -> Any:  # noqa: ANN401  # fsspec has no types
        return opened_system(self.place)[0]

    @property
    def _system_writes_whole(self) -> bool:
        return self.place.protocol in _WHOLE

    def _path(self, name: str) -> str:
        root = opened_system(self.place)[1].rstrip("/")
        return f"{root}/{name}" if name else root

    def _aside(self, digits: str, word: str) -> str:
        return self._path(f"{UNFINISHED}/{digits}.{word}.tmp")

    def _calls(self, *, is_missing: str = "") -> AbstractContextManager[None]:
        return remote_calls(self.place, is_missing=is_missing)


_GONE = "the bucket or container does not exist"


def _marker(digits: str) -> str:
    return f"{_RENEWED}/{digits[:2]}/{digits}"
