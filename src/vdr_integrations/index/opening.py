"""Open an index of either kind, or several as one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from vdr_integrations.errors import IndexNotFoundError, OptionError
from vdr_integrations.index.dense_index import DenseIndex
from vdr_integrations.index.engine import LOCK_WAIT_S
from vdr_integrations.index.late_interaction_index import LateInteractionIndex
from vdr_integrations.index.page_index import Location, PageIndex, engine_of, opened_engine
from vdr_integrations.index.shards.shard_folders import is_shard_set, set_of_shard, shard_folders

if TYPE_CHECKING:
    from vdr_integrations.index.engine import Engine

__all__ = ["Locations", "open_index"]

Locations: TypeAlias = Location | Sequence[Location | PageIndex]
"""A folder or collection, or several of them, and open indexes, that are searched as one."""


def open_index(
    location: Locations, *, wait_s: float = LOCK_WAIT_S
) -> DenseIndex | LateInteractionIndex:
    """Open an index without knowing its kind, or several as one.

    Several indexes are searched as one that holds all their pages, with the same scores. Their
    documents can be removed and checked; to add some, open one of the indexes alone. Open indexes
    among them stay open when it is closed.

    Args:
        location: A folder, or a collection of a Qdrant server; or a list of several. The folder of
            a set of shards stands for all of them.
        wait_s: How long writes wait for another writer.

    Raises:
        IndexNotFoundError: There is no index.
        IndexFormatError: Not an index, damaged, or of another format.
        IndexMismatchError: Several that were not made alike, or that hold the same document.
        OptionError: An empty list, or a URL instead of a folder or a ``QdrantServer``.
        MissingExtraError: A server's client is not installed.
    """
    if not isinstance(location, Sequence) or isinstance(location, str):
        location = _parts(location)
    return _of_engine(_joined(location, wait_s=wait_s))


def _joined(given: Sequence[Location | PageIndex], *, wait_s: float) -> Engine:
    from vdr_integrations.index.shards.engine import ShardsEngine

    if not given:
        raise OptionError("a list of indexes is empty; name at least one.")
    given = [part for one in given for part in _parts(one)]
    only = given[0]
    if len(given) == 1 and not isinstance(only, PageIndex):
        return _opened(only, wait_s=wait_s)
    with ExitStack() as stack:
        parts: list[Engine] = []
        opened: list[Engine] = []
        for one in given:
            if isinstance(one, PageIndex):
                parts += engine_of(one).parts  # a set of shards has several
                continue
            engine = _opened(one, wait_s=wait_s)
            stack.callback(engine.close)
            parts.append(engine)
            opened.append(engine)
        joined = ShardsEngine(parts, closes=opened)
        stack.pop_all()
        return joined


def _opened(place: Location, *, wait_s: float) -> Engine:
    try:
        return opened_engine(place, wait_s=wait_s)
    except IndexNotFoundError as error:
        folder = Path(place) if isinstance(place, str | Path) else None
        root = None if folder is None else set_of_shard(folder)
        if folder is None or root is None:
            raise
        raise IndexNotFoundError(
            f"the set of shards {root} has no {folder.name}: a run was interrupted while it "
            f"made the set, or somebody removed it. Index the same documents into {root} again "
            f"(vdr index --ray, index_with_ray): that makes it, and what was in it."
        ) from error


def _parts(given: Location | PageIndex) -> Sequence[Location | PageIndex]:
    if isinstance(given, str | Path) and is_shard_set(Path(given)):
        return shard_folders(given)
    return [given]


def _of_engine(engine: Engine) -> DenseIndex | LateInteractionIndex:
    return DenseIndex(engine) if engine.settings.tokens is None else LateInteractionIndex(engine)
