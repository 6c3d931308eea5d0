"""A file under all the names by which it was found, and which of them it is called by."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["FileKey", "FileName", "FoundFile", "key_of", "preferred_name"]

FileKey: TypeAlias = tuple[int, int] | str
"""What all names of one file have in common."""


@dataclass(frozen=True, slots=True)
class FileName:
    """One name of a file.

    Attributes:
        path: The path.
        is_link: Whether the path itself is a symbolic link; links of its folders do not count.
    """

    path: Path
    is_link: bool


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that was found.

    Attributes:
        key: The same for two names of one file.
        names: All names by which it was found, in the order in which they were found.
    """

    key: FileKey
    names: list[FileName]


def key_of(path: str | Path, status: os.stat_result) -> FileKey:
    """What a file is known by; ``status`` is that of the file itself, not of a link to it."""
    # Some file systems number no files.
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def preferred_name(
    names: Sequence[FileName], *, is_known: Callable[[Path], bool] | None = None
) -> FileName:
    """The name by which a file is called.

    That is a known name that is no link; else a name that is no link; else a known name; else the
    first. Among equals, it is the first.

    Args:
        names: At least one name.
        is_known: Whether a path is known already; None if no path is.
    """

    def rank(name: FileName) -> int:
        known = is_known is not None and is_known(name.path)
        if name.is_link:
            return 2 if known else 3
        return 0 if known else 1

    return min(names, key=rank)
