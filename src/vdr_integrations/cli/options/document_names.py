"""Finds documents of an index by path, folder, file name or glob."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import TYPE_CHECKING

from vdr_integrations.index.document_name import document_names, other_name_of
from vdr_integrations.index.path_pattern import fits

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["matching"]


def matching(pattern: str, sources: Sequence[str]) -> list[str]:
    """The sources that a pattern matches, in their order.

    The pattern is read as each of these in turn, until one matches: a source; the path of a
    document or of a folder, or of a link to one; if it has no slash, a file name in any folder; a
    glob, in which ``*`` stops at a slash and ``**`` does not, and whose first folders may be called
    as they are written; if it has no slash, a glob of file names in any folder. Files need not
    exist.
    """
    if pattern in sources:
        return [pattern]
    if not pattern:
        return []
    names = document_names(pattern)
    is_name = "/" not in pattern
    for name in names:
        beneath = [one for one in sources if PurePath(one).is_relative_to(name)]
        if beneath:
            return beneath
    linked = other_name_of(pattern, sources)
    if linked is not None:
        return [linked]
    named = [one for one in sources if is_name and PurePath(one).name == pattern]
    found = named or _fitting(PurePath(names[0]).parts, sources)
    if not found and is_name:
        found = [one for one in sources if fnmatchcase(PurePath(one).name, pattern)]
    return found


def _fitting(pattern: Sequence[str], sources: Sequence[str]) -> list[str]:
    """What fits a glob; as many of its first folders as possible mean themselves."""
    for count in range(len(pattern) - 1, -1, -1):
        start, rest = tuple(pattern[:count]), pattern[count:]
        paths = [(one, PurePath(one).parts) for one in sources]
        found = [
            one for one, parts in paths if parts[:count] == start and fits(parts[count:], rest)
        ]
        if found:
            return found
    return []
