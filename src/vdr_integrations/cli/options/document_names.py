"""Finds documents of an index by path, folder, file name or glob."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import TYPE_CHECKING

from vdr_integrations.index.document_name import document_path

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["matching"]


def matching(pattern: str, sources: Sequence[str]) -> list[str]:
    """The sources that a pattern matches, in their order.

    The pattern is read as each of these in turn, until one matches: a source; the path of a
    document or of a folder; a glob, in which ``*`` stops at a slash and ``**`` does not; if the
    pattern has no slash, a glob of file names in any folder. Files need not exist.
    """
    if pattern in sources:
        return [pattern]
    if not pattern:
        return []
    path = document_path(pattern)
    beneath = [one for one in sources if PurePath(one).is_relative_to(path)]
    if beneath:
        return beneath
    parts = path.parts
    found = [one for one in sources if _fits(PurePath(one).parts, parts)]
    if not found and "/" not in pattern:
        found = [one for one in sources if fnmatchcase(PurePath(one).name, pattern)]
    return found


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        rest = pattern[1:]
        if rest and rest[0] == "**":
            return _fits(parts, rest)
        return any(_fits(parts[start:], rest) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
