"""A file that should do harm, and what it must come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "ANY",
    "CPU",
    "DRAWN",
    "FILE_REFUSED",
    "INDEXED",
    "LIMIT",
    "MEMORY",
    "PAGE_REFUSED",
    "PIXELS",
    "REFUSED",
    "WARNED",
    "HostileCase",
    "Outcome",
    "of_bytes",
]

Outcome = Literal["indexed", "warned", "page refused", "file refused"]
"""All pages are drawn; drawn with a warning of a page; a page fails; the file does not open."""

INDEXED = frozenset[Outcome]({"indexed"})
WARNED = frozenset[Outcome]({"warned"})
PAGE_REFUSED = frozenset[Outcome]({"page refused"})
FILE_REFUSED = frozenset[Outcome]({"file refused"})
DRAWN = INDEXED | WARNED
REFUSED = PAGE_REFUSED | FILE_REFUSED
ANY = DRAWN | REFUSED

MEMORY = "memory"
CPU = r"CPU|\d s\b"
LIMIT = f"{MEMORY}|{CPU}"
PIXELS = "pixels"
"""Patterns of reasons: what a message says if a limit was the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostileCase:
    """A file and its outcome.

    Attributes:
        name: What is wrong with it, in words.
        write: Makes it at a path.
        outcomes: What it may come to. There are several if the machine or the version of a library
            decides.
        reason: A pattern that the message must match, if the outcome is a refusal.
        file_name: Name of the file.
        is_named: Whether its own path is given, and not only its folder.
        is_slow: Whether it takes seconds, because a limit of time decides.
    """

    name: str
    write: Callable[[Path], None]
    outcomes: frozenset[Outcome]
    reason: str = ""
    file_name: str = "hostile.pdf"
    is_named: bool = False
    is_slow: bool = False

    def __str__(self) -> str:
        """The name."""
        return self.name


def of_bytes(make: Callable[[], bytes]) -> Callable[[Path], None]:
    """A function that writes what ``make`` makes."""

    def write(path: Path) -> None:
        path.write_bytes(make())

    return write
