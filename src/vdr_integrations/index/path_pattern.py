"""Does a path fit a pattern? Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["fits"]


def fits(parts: Sequence[str], pattern: Sequence[str], *, beneath: bool = False) -> bool:
    """Whether the parts of a path fit those of a glob, in which ``**`` is any number of folders.

    Args:
        parts: The parts of the path.
        pattern: The parts of the glob; ``*`` stays inside a part.
        beneath: Whether a path fits too if a folder above it does.
    """
    if not pattern:
        return beneath or not parts
    if pattern[0] == "**":
        rest = pattern[1:]
        if rest and rest[0] == "**":
            return fits(parts, rest, beneath=beneath)
        return any(fits(parts[start:], rest, beneath=beneath) for start in range(len(parts) + 1))
    return (
        bool(parts)
        and fnmatchcase(parts[0], pattern[0])
        and fits(parts[1:], pattern[1:], beneath=beneath)
    )
