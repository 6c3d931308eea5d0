"""Late-interaction indexes behind a framework's object: opened on first use, once per process."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import InstanceOf

from vdr_integrations.errors import OptionError
from vdr_integrations.index import LateInteractionIndex, QdrantServer

__all__ = ["IndexHandle", "IndexLocation"]

IndexLocation: TypeAlias = InstanceOf[LateInteractionIndex] | InstanceOf[QdrantServer] | Path | str
"""An open index, the folder of one, or a collection of a Qdrant server, which may be written as
``"http://host:6333/collection"``."""

_Key = tuple[int, Path | QdrantServer]

_opening = threading.Lock()
_opened: weakref.WeakValueDictionary[_Key, LateInteractionIndex] = weakref.WeakValueDictionary()


class IndexHandle:
    """Opens indexes on first use and keeps them open.

    All handles of a process share what one of them opened, with what it has read; it is let go
    when the last of them is. Pickles and deep copies are empty handles.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._held: dict[_Key, LateInteractionIndex] = {}

    def get(self, location: IndexLocation) -> LateInteractionIndex:
        """The open index of a location.

        Raises:
            IndexNotFoundError: There is no index.
            IndexFormatError: Not an index, damaged, or of another format.
            IndexMismatchError: An index of dense vectors.
            MissingExtraError: A server's client is not installed.
            OptionError: A URL without a collection.
        """
        if isinstance(location, LateInteractionIndex):
            return location
        place = _place(location)
        key = (os.getpid(), place)
        with _opening:
            index = self._held.get(key) or _opened.get(key)
            if index is None:
                index = _opened[key] = LateInteractionIndex.open(place)
            self._held[key] = index
            return index

    def release(self) -> None:
        """Keep nothing open any more; what was opened elsewhere is not touched."""
        self._held = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """An empty handle."""
        return (type(self), ())

    def __eq__(self, other: object) -> bool:
        """All handles are equal: what they give follows from the location alone."""
        return type(other) is type(self)

    def __hash__(self) -> int:
        """Equal for all handles."""
        return hash(type(self))


def _place(location: QdrantServer | Path | str) -> QdrantServer | Path:
    if isinstance(location, QdrantServer):
        return location
    if isinstance(location, Path) or not location.startswith(("http://", "https://")):
        return Path(location).resolve()
    url, _, collection = location.rstrip("/").rpartition("/")
    if not collection or url.endswith(("http:/", "https:/")):
        raise OptionError(
            "an index on a server is http://host:6333/collection, found a URL without a "
            "collection; or give QdrantServer(url=..., collection=..., api_key=...)."
        )
    return QdrantServer(collection=collection, url=url)
