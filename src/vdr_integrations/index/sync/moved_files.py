"""Files whose bytes an index knows under another name: their pages can be copied."""

from __future__ import annotations

import stat
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from vdr_integrations.index.records import NO_FILE
from vdr_integrations.index.sync.changed_files import read_file_state, surely_unchanged
from vdr_integrations.pages.read_file import refuse_shortage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from vdr_integrations.index.records import DocumentRecord, FileState
    from vdr_integrations.index.sync.survey import Survey

__all__ = ["MovedFile", "find_moved", "in_safe_order"]


@dataclass(frozen=True, slots=True)
class MovedFile:
    """A new or changed file with the bytes of a known document.

    Attributes:
        source: Name of its document.
        holder: The known document.
        file: The state of the file.
    """

    source: str
    holder: DocumentRecord
    file: FileState


def find_moved(survey: Survey, known: Mapping[str, DocumentRecord]) -> list[MovedFile]:
    """The moved files, in an order in which each document is copied before it is replaced.

    Only files that have the size of a known document are read.

    Args:
        survey: The files that were found.
        known: The documents of the index by name.

    Raises:
        ResourceError: This machine cannot open more files.
    """
    of_size: dict[int, list[DocumentRecord]] = defaultdict(list)
    for record in known.values():
        if record.file.sha256 != NO_FILE.sha256:
            of_size[record.file.size_bytes].append(record)
    moved: list[MovedFile] = []
    for path in survey.found if of_size else []:
        source = path.as_posix()
        try:
            state, holders = _new_state(path, known.get(source), of_size)
        except (OSError, ValueError) as problem:  # who encodes the file reports it
            refuse_shortage(problem, source_name=source)
            continue
        if state is not None and holders:
            holder = min(holders, key=lambda one: _rank(one, source, survey))
            moved.append(MovedFile(source, holder, state))
    return in_safe_order(moved)


def in_safe_order(moved: Sequence[MovedFile]) -> list[MovedFile]:
    """Sort moved files so that each document is copied before it is replaced by another one.

    Files that changed places with each other have no such order, and are left out.
    """
    waiting = {one.source: one for one in moved}
    readers = Counter(one.holder.source for one in moved)
    ready = [one for one in moved if not readers[one.source]]
    ordered: list[MovedFile] = []
    for one in ready:  # grows
        ordered.append(one)
        held = one.holder.source
        readers[held] -= 1
        if not readers[held] and held in waiting:
            ready.append(waiting[held])
    return ordered


def _new_state(
    path: Path, known: DocumentRecord | None, of_size: Mapping[int, Sequence[DocumentRecord]]
) -> tuple[FileState | None, list[DocumentRecord]]:
    """The state of a new or changed file, and the other documents that have its bytes."""
    status = path.stat()
    others = [
        one
        for one in of_size.get(status.st_size, ())
        if known is None or one.source != known.source
    ]
    if not others or not stat.S_ISREG(status.st_mode):
        return None, []
    if known is not None and surely_unchanged(path, known.file):
        return None, []
    path.as_posix().encode()  # ValueError: no document has such a name
    state = read_file_state(path)
    if known is not None and state.sha256 == known.file.sha256:
        return None, []
    return state, [one for one in others if one.file.sha256 == state.sha256]


def _rank(holder: DocumentRecord, source: str, survey: Survey) -> tuple[bool, bool, bool]:
    """Where several documents have the bytes, the one that was moved most likely is first."""
    return (
        survey.superseded.get(holder.source) != source,
        holder.source not in survey.absent,
        PurePath(holder.source).name != PurePath(source).name,
    )
