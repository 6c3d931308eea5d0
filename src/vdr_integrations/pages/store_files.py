"""What a page store needs of its files, in a folder or at a URL.

A page lies in ``ab/abcd....png``, named by its 64 hexadecimal digits. A file that is being written,
or removed, lies in ``unfinished/`` meanwhile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "ABANDONED_NS",
    "PAGE_NAME",
    "SHARD",
    "UNFINISHED",
    "UNFINISHED_NAME",
    "StoreFile",
    "StoreFiles",
    "inside",
]

ABANDONED_NS = 3600 * 10**9
"""An unfinished file that nobody has written to for so long is abandoned."""
UNFINISHED = "unfinished"
SHARD = re.compile(r"[0-9a-f]{2}")
PAGE_NAME = re.compile(r"([0-9a-f]{64})\.png")
UNFINISHED_NAME = re.compile(r"([0-9a-f]{64})\.(\w+)\.tmp", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoreFile:
    """A file of a store, as it was when it was listed.

    Attributes:
        path: Its path, as the file system of the store writes it.
        digits: SHA-256 of the page.
        size_bytes: Length of the file.
        modified_ns: When it was written or renewed, nanoseconds since the epoch.
    """

    path: str
    digits: str
    size_bytes: int
    modified_ns: int


class StoreFiles(Protocol):
    """The files of one store. Methods raise OSError as file systems do."""

    def read(self, digits: str) -> bytes:
        """The file of a page.

        Raises:
            FileNotFoundError: There is none.
        """
        ...

    def has(self, digits: str) -> bool:
        """Whether there is a file of a page; it is not read."""
        ...

    def write(self, digits: str, save: Callable[[IO[bytes]], object]) -> None:
        """Write a page, completely or not at all; an older file of it is replaced.

        Args:
            digits: SHA-256 of the page.
            save: Writes the page into an open file; it may be called again.
        """
        ...

    def renew(self, digits: str) -> None:
        """Make a page count as written now, if it is there and may be changed."""
        ...

    def pages(self) -> Iterator[StoreFile]:
        """The pages, in no order; nothing else that lies there. None is read."""
        ...

    def unfinished(self) -> Iterator[StoreFile]:
        """Files that writers have not finished, or never will."""
        ...

    def now_ns(self) -> int:
        """The time of the file system's clock, nanoseconds since the epoch.

        Raises:
            FileNotFoundError: There is no such folder, so there are no pages.
            PermissionError: Nothing can be changed there.
        """
        ...

    def remove_abandoned(self, *, now_ns: int) -> list[StoreFile]:
        """Remove the unfinished files that nobody has written to for an hour."""
        ...

    def remove_if_older(self, pages: Iterable[str], *, than_ns: int) -> list[int]:
        """Remove the pages that were neither written nor renewed since a time.

        A writer may renew a page at any moment: then it stays.

        Args:
            pages: Their digits.
            than_ns: The time.

        Returns:
            Number of freed bytes of each page that was removed.
        """
        ...


def inside(digits: str) -> str:
    """Where the file of a page lies, below the root of its store."""
    return f"{digits[:2]}/{digits}.png"
