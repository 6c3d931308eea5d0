"""Finds documents of an index by path, folder, file name or glob."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from vdr_integrations.cli.terminal.clean_text import is_utf8
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.cli.options.indexes import Index
    from vdr_integrations.index import DocumentRecord

__all__ = ["document_named", "matching"]


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
    path = _whole(pattern)
    beneath = [one for one in sources if PurePath(one).is_relative_to(path)]
    if beneath:
        return beneath
    parts = path.parts
    found = [one for one in sources if _fits(PurePath(one).parts, parts)]
    if not found and "/" not in pattern:
        found = [one for one in sources if fnmatchcase(PurePath(one).name, pattern)]
    return found


def document_named(index: Index, name: str) -> DocumentRecord:
    """The one document that has this path or file name.

    Raises:
        OptionError: No document has the name, or several have it.
    """
    from vdr_integrations.agents.indexed_pages import document_of_file_name

    found: DocumentRecord | None = None
    if is_utf8(name):  # indexes keep names as UTF-8
        for source in (name, _whole(name).as_posix()):
            found = index.document(source)
            if found is not None:
                return found
        found = document_of_file_name(index, name)
    if found is None:
        raise OptionError(
            f"index {index.path} has no document {name!r}; list its documents with "
            f"vdr info --documents. Other files are not opened."
        )
    return found


def _whole(name: str) -> Path:
    """The path as ``sync_index`` names documents: absolute; a link at its end is not followed."""
    path = Path(name)
    return path.resolve() if path.name in {"", ".."} else path.parent.resolve() / path.name


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        rest = pattern[1:]
        if rest and rest[0] == "**":
            return _fits(parts, rest)
        return any(_fits(parts[start:], rest) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
