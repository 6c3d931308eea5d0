"""Open indexes of a process: opened on first use, shared by all who name the same place."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from vdr_integrations.encoders.runtime.forks import PerProcess
from vdr_integrations.errors import IndexNotFoundError, IndexStoreError, OptionError
from vdr_integrations.index.arguments import index_folder
from vdr_integrations.index.opening import open_index
from vdr_integrations.index.page_index import PageIndex
from vdr_integrations.index.server.qdrant_server import QdrantServer
from vdr_integrations.index.shards.joined_writes import several_take_none

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["IndexChoice", "IndexLocation", "SharedIndex", "location_of", "without_secrets"]

IndexLocation: TypeAlias = str | Path | QdrantServer
"""A folder, a collection of a server, or the latter as ``"http://host:6333/collection"``."""

IndexChoice: TypeAlias = PageIndex | IndexLocation | Sequence[PageIndex | IndexLocation]
"""An open index, or the place of one, or a list of several, which are searched as one."""

_Place: TypeAlias = Path | QdrantServer


class _Slot:
    """The open index of one place; each place has its own lock, so none waits for another."""

    def __init__(self) -> None:
        self.opening = threading.Lock()
        self.index: PageIndex | None = None
        self.users: weakref.WeakSet[SharedIndex] = weakref.WeakSet()


class _Registry:
    """The slots of this process that somebody holds."""

    def __init__(self) -> None:
        self._finding = threading.Lock()
        self._slots: weakref.WeakValueDictionary[_Place, _Slot] = weakref.WeakValueDictionary()

    def slot(self, place: _Place) -> _Slot:
        with self._finding:
            slot = self._slots.get(place)
            if slot is None:
                slot = self._slots[place] = _Slot()
            return slot


# A child of a fork opens its own: a lock may be held, and a connection shared, in the parent.
_registry = PerProcess(_Registry)


class SharedIndex:
    """An index that the caller opened, or the place of one that is opened when it is needed first.

    All objects of a process that name the same place share one open index, with what it has read.
    It is closed when the last of them closes or is gone. An index that somebody closed meanwhile is
    opened again, and what could not be opened is tried again at the next use.

    Copies share it. Pickles hold the place, and never a key or a client.
    """

    def __init__(self, index: IndexChoice) -> None:
        """Open nothing yet.

        Args:
            index: An open index, its folder, a ``QdrantServer``, or
                ``"http://host:6333/collection"``; or a list of several, which are searched as one.

        Raises:
            OptionError: Something else.
        """
        self._given: PageIndex | None = None
        self._place: _Place | None = None
        self._held: tuple[int, _Slot] | None = None
        self._parts: list[SharedIndex] = []
        self._joined: tuple[list[PageIndex], PageIndex] | None = None
        if isinstance(index, Sequence) and not isinstance(index, str):
            if not index:
                raise OptionError("a list of indexes is empty; name at least one.")
            if len(index) > 1:
                self._parts = [SharedIndex(one) for one in index]
                return
            index = index[0]
        if isinstance(index, PageIndex):
            self._given = index
        else:
            self._place = location_of(index)

    def get(
        self,
        *,
        create: Callable[[], PageIndex] | None = None,
        replaces: Callable[[PageIndex], bool] = lambda _: False,
    ) -> PageIndex:
        """The index, opened at most once by any number of threads.

        Args:
            create: Makes the index if there is none.
            replaces: Whether ``create`` shall make this index again, which holds no document.

        Raises:
            IndexStoreError: It cannot be opened.
            OptionError: ``create`` was given, and several indexes.
        """
        if self._given is not None:
            return self._given
        if self._parts:
            if create is not None:
                raise several_take_none([part.shown for part in self._parts], "documents")
            return self._get_joined()
        assert self._place is not None  # noqa: S101  # one of both is given
        slot = self._slot(self._place)
        with slot.opening:
            if slot.index is None or slot.index.is_closed:
                try:
                    slot.index = open_index(self._place)
                except IndexNotFoundError:
                    if create is None:
                        raise
                    slot.index = create()
            if create is not None and slot.index.is_empty and replaces(slot.index):
                slot.index.close()
                slot.index = create()
            return slot.index

    async def aget(self) -> PageIndex:
        """:meth:`get`, opening outside the event loop."""
        return self._given or await asyncio.to_thread(self.get)

    def _get_joined(self) -> PageIndex:
        """The parts as one index; the same object while they are the same."""
        indexes = [part.get() for part in self._parts]
        kept = self._joined
        if (
            kept is None
            or kept[1].is_closed
            or any(one is not now for one, now in zip(kept[0], indexes, strict=True))
        ):
            try:
                kept = self._joined = (indexes, open_index(indexes))
            except IndexStoreError:  # one may have been made again since it was opened
                for part, one in zip(self._parts, indexes, strict=True):
                    part.forget(one)
                raise
        return kept[1]

    @property
    def shown(self) -> str:
        """The place of the index, or those of several, for messages."""
        if self._parts:
            return ", ".join(part.shown for part in self._parts)
        return str(self._place or (self._given and self._given.path))

    @property
    def location(self) -> IndexLocation | list[IndexLocation]:
        """Where the index is, or several are.

        Raises:
            TypeError: It was given open, and is on a server.
        """
        if self._parts:
            return [one for part in self._parts for one in _listed(part.location)]
        if self._place is not None:
            return self._place
        places = [] if self._given is None else self._given.places
        folders: list[IndexLocation] = [place for place in places if isinstance(place, Path)]
        if folders and len(folders) == len(places):
            return folders[0] if len(folders) == 1 else folders
        raise TypeError(
            "an open index of a server cannot be pickled; give QdrantServer(url=..., "
            "collection=...) instead."
        )

    def forget(self, index: PageIndex) -> None:
        """Open the index again at the next use: something is wrong with this one.

        It may have been deleted and made again with other settings since it was opened.
        """
        joined, self._joined = self._joined, None
        if joined is not None:
            for part, one in zip(self._parts, joined[0], strict=True):
                part.forget(one)
        if self._held is not None:
            slot = self._held[1]
            with slot.opening:
                if slot.index is index:
                    slot.index = None

    def close(self) -> None:
        """Stop using what was opened here; the next use opens it again.

        The index stays open while another object of this process uses it. An index that was given
        open stays open.
        """
        self._joined = None
        for part in self._parts:
            part.close()
        held, self._held = self._held, None
        if held is None or held[0] != os.getpid():
            return
        slot = held[1]
        with slot.opening:
            slot.users.discard(self)
            if slot.index is not None and not slot.users:
                slot.index.close()
                slot.index = None

    def __deepcopy__(self, _: object) -> Self:
        """Itself."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """The place of the index."""
        location = self.location
        for one in _listed(location):
            if isinstance(one, QdrantServer) and (
                one.client is not None or one.api_key is not None or one.login is not None
            ):
                raise TypeError(
                    "a server's key, password or client is never pickled; make the object where it "
                    "is used."
                )
        return type(self), (location,)

    def __repr__(self) -> str:
        """The place of the index."""
        return f"SharedIndex({self.shown})"

    def _slot(self, place: _Place) -> _Slot:
        held = self._held
        if held is None or held[0] != os.getpid():
            held = self._held = (os.getpid(), _registry.value.slot(place))
            with held[1].opening:
                held[1].users.add(self)
        return held[1]


def without_secrets(given: object) -> object:
    """What a caller gave, with servers in place of URLs, which may hold a password and be shown."""
    if isinstance(given, list | tuple):
        return [without_secrets(one) for one in cast("Sequence[object]", given)]
    return location_of(given) if isinstance(given, str) and "://" in given else given


def _listed(location: IndexLocation | list[IndexLocation]) -> list[IndexLocation]:
    return location if isinstance(location, list) else [location]


def location_of(given: object) -> _Place:
    """The folder or collection that a caller names.

    Raises:
        OptionError: Something else, a URL without a collection, or one that is no server's.
    """
    if isinstance(given, QdrantServer):
        return given
    if isinstance(given, Path):
        return index_folder(given).resolve()
    if not isinstance(given, str) or not given:
        raise OptionError(
            f"index must be an open index, its folder, a QdrantServer, or a list of them, found "
            f"{type(given).__name__}."
        )
    if not given.startswith(("http://", "https://")):
        return index_folder(given).resolve()
    url, _, collection = given.rstrip("/").rpartition("/")
    if not collection or url in {"http:", "https:", "http:/", "https:/"}:
        raise OptionError(
            "an index on a server is http://host:6333/collection, found a URL without a "
            "collection; or give QdrantServer(url=..., collection=..., api_key=...)."
        )
    return QdrantServer(collection=collection, url=url)
