"""A set of index folders that several writers fill: which document belongs to which of them."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vdr_integrations.errors import IndexFormatError, IndexNotFoundError, OptionError
from vdr_integrations.index.folder.troubles import os_trouble

__all__ = [
    "MOST_SHARDS",
    "ShardFolders",
    "is_shard_set",
    "planned_shard_set",
    "set_of_shard",
    "shard_folders",
    "shard_of",
]

MOST_SHARDS = 1000
_SET_FILE = "shards.json"
_FORMAT = 1


def shard_of(source: str, count: int) -> int:
    """The number of the shard that holds a document, from 0; the same on every machine.

    Args:
        source: Name of the document.
        count: Number of shards.
    """
    digest = hashlib.sha256(source.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8]) % count


@dataclass(frozen=True, slots=True)
class ShardFolders:
    """The folders of a set, ``shard-00`` and so on, and the file that says how many there are.

    Attributes:
        root: The folder that holds them.
        count: Number of shards; it never changes.
        set_id: Tells this set from any other, on whatever machine ``root`` is looked at.
    """

    root: Path
    count: int
    set_id: str

    @property
    def folders(self) -> list[Path]:
        """The folder of each shard, by its number."""
        digits = max(len(str(self.count - 1)), 2)
        return [self.root / f"shard-{number:0{digits}}" for number in range(self.count)]

    def make(self) -> None:
        """Write the description, if it is not there.

        Raises:
            OptionError: Somebody else has made another set there meanwhile.
            IndexStoreError: It cannot be written.
        """
        if not is_shard_set(self.root):
            unfinished = self.root / f".{_SET_FILE}.{self.set_id}"
            facts = {"format": _FORMAT, "shards": self.count, "id": self.set_id}
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                unfinished.write_text(json.dumps(facts), encoding="utf-8")
                os.replace(unfinished, self.root / _SET_FILE)  # noqa: PTH105  # never half written
            except OSError as error:
                raise os_trouble(error, self.root) from error
        if _read(self.root).set_id != self.set_id:
            raise OptionError(
                f"{self.root}: another run has just made a set of shards there; run this again."
            )


def is_shard_set(root: Path) -> bool:
    """Whether a folder holds a set of shards."""
    return (root / _SET_FILE).is_file()


def shard_folders(root: str | Path, *, set_id: str | None = None) -> list[Path]:
    """The folders of a set that ``index_with_ray`` has made.

    Args:
        root: The folder that was given to ``index_with_ray``.
        set_id: What the set must be, see ``ShardFolders``; None for any.

    Raises:
        IndexNotFoundError: There is no such set.
        IndexFormatError: Its description is damaged, or of another format.
    """
    found = _read(Path(root))
    if set_id not in {None, found.set_id}:
        raise IndexNotFoundError(f"{root} is another set of shards than it was.")
    return found.folders


def set_of_shard(folder: Path) -> Path | None:
    """The set that a folder is a shard of, whether it is there or not; None for any other folder.

    Raises:
        IndexFormatError: The description of the set is damaged, or of another format.
    """
    folder = folder.absolute()
    if is_shard_set(folder.parent) and folder in _read(folder.parent).folders:
        return folder.parent
    return None


def planned_shard_set(root: Path, *, count: int | None, default: int) -> ShardFolders:
    """The set in a folder, or one that can be made there; nothing is written.

    Args:
        root: The folder.
        count: Number of shards that the caller wants; None takes that of the set.
        default: Number of shards of a new set, if the caller wants none.

    Raises:
        OptionError: The set has another number of shards, or the number is not allowed.
        IndexFormatError: The folder holds something else, or is a file.
        IndexStoreError: It cannot be looked into.
    """
    if count is not None and not 1 <= count <= MOST_SHARDS:
        raise OptionError(f"shards={count}; it must be between 1 and {MOST_SHARDS}.")
    try:
        found = _read(root)
    except IndexNotFoundError:
        if root.is_file():
            raise IndexFormatError(f"{root} is a file, and no folder for shards.") from None
        if _holds_something(root):
            raise IndexFormatError(
                f"{root} holds other files, and no {_SET_FILE}; shards are made in a new or empty "
                f"folder."
            ) from None
        chosen = min(count or default, MOST_SHARDS)
        return ShardFolders(root.absolute(), chosen, secrets.token_hex(16))
    if count not in {None, found.count}:
        raise OptionError(
            f"{root} has {found.count} shards, found shards={count}: each document is in the shard "
            f"that its name chooses among {found.count}. Leave shards out, or index into another "
            f"folder."
        )
    return found


def _holds_something(root: Path) -> bool:
    try:
        return root.exists() and any(not one.name.startswith(".") for one in root.iterdir())
    except OSError as error:
        raise os_trouble(error, root) from error


def _read(root: Path) -> ShardFolders:
    path = root / _SET_FILE
    try:
        facts: Any = json.loads(path.read_text(encoding="utf-8"))
        found = ShardFolders(root.absolute(), facts["shards"], facts["id"])
        is_known = facts["format"] == _FORMAT and type(found.count) is int and bool(found.set_id)
    except (FileNotFoundError, NotADirectoryError):
        raise IndexNotFoundError(
            f"{root} is no set of shards: it has no {_SET_FILE}. Name the folder that was given to "
            f"index_with_ray or vdr index --ray."
        ) from None
    except (ValueError, KeyError, TypeError):
        is_known, found = False, None
    if not is_known or found is None or not 1 <= found.count <= MOST_SHARDS:
        raise IndexFormatError(
            f"{path} is damaged, or was written by a newer version. The shards beside it are "
            f"indexes by themselves: vdr search --index names each."
        )
    return found
