"""What a synchronisation finds before it changes anything: files, and documents without them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.index.document_name import DocumentNaming
from vdr_integrations.index.records import NO_FILE
from vdr_integrations.index.sync.given_paths import GivenPaths
from vdr_integrations.index.sync.whereabouts import Presence, WhereaboutsOfFiles
from vdr_integrations.pages.file_names import FileName, preferred_name
from vdr_integrations.pages.find_files import find_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vdr_integrations.errors import PageError
    from vdr_integrations.index.records import DocumentRecord
    from vdr_integrations.pages.file_names import FileKey, FoundFile

__all__ = ["Absence", "Survey", "survey_files"]


class Absence(Enum):
    """What becomes of a document whose file is not there."""

    DROPPED = auto()
    LISTED = auto()
    """It stays, and the report names it as missing."""
    OUTSIDE = auto()
    """It stays, because the given paths do not cover it."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What the given paths name.

    Attributes:
        found: The files to index, each by the name of its document.
        errors: Why paths or folders name nothing.
        superseded: Known documents whose file was found under another name, and that name.
        absent: Known documents whose file is not there. Those that nobody can look at are left out
            unless a given path is out of reach.
        movable: Those of ``absent`` that were moved if a found file has their bytes. The others may
            be there when a disk is mounted.
    """

    found: list[Path]
    errors: list[PageError]
    superseded: dict[str, str]
    absent: dict[str, Absence]
    movable: set[str]


def survey_files(
    paths: Sequence[Path], known: Mapping[str, DocumentRecord], *, drop_missing: bool
) -> Survey:
    """Find the files that paths name, and look at the files of all known documents.

    A known document costs a few calls of the file system at most.

    Args:
        paths: Files, folders and patterns.
        known: The documents of the index by name.
        drop_missing: Whether documents are dropped although their files may only be out of reach.

    Raises:
        ResourceError: This machine cannot open more files.
    """
    naming = DocumentNaming()
    given = GivenPaths(paths, naming)
    survey = Survey([], [], {}, {}, set())
    names: dict[FileKey, str] = {}
    for file in find_files(paths, on_error=survey.errors.append):
        path = _document_of(file, known, naming)
        names[file.key] = path.as_posix()
        survey.found.append(path)
    whereabouts = WhereaboutsOfFiles()
    for source in sorted(known.keys() - names.values()):
        if not os.path.isabs(source):  # noqa: PTH117  # for each document
            continue
        file = whereabouts.of(source)
        if file.presence is not Presence.HERE:
            _note_absent(survey, given, source, file.presence)
        elif file.key in names:
            survey.superseded[source] = names[file.key]
        elif _may_be_listed_no_more(known[source], naming) and given.covers(source):
            survey.found.append(Path(source))
    if drop_missing:
        _drop_missing(survey, given)
    survey.found[:] = dict.fromkeys(survey.found)
    return survey


def _note_absent(survey: Survey, given: GivenPaths, source: str, presence: Presence) -> None:
    is_covered = given.covers(source)
    if is_covered and presence is Presence.GONE:
        survey.absent[source] = Absence.DROPPED
    elif given.out_of_reach(source) or (is_covered and presence is Presence.MISSING):
        survey.absent[source] = Absence.LISTED
    elif presence is not Presence.UNKNOWN:
        survey.absent[source] = Absence.OUTSIDE
    if presence is Presence.GONE or (
        presence is Presence.MISSING and survey.absent[source] is Absence.LISTED
    ):
        survey.movable.add(source)


def _drop_missing(survey: Survey, given: GivenPaths) -> None:
    answered: set[str] = set()
    for source, absence in survey.absent.items():
        if absence is Absence.LISTED:
            survey.absent[source] = Absence.DROPPED
            lost = given.out_of_reach(source)
            if lost is not None and not os.path.lexists(lost):
                answered.add(str(lost))
    survey.errors[:] = [error for error in survey.errors if error.source not in answered]


def _document_of(
    file: FoundFile, known: Mapping[str, DocumentRecord], naming: DocumentNaming
) -> Path:
    """The name by which the file is a document."""
    names = [FileName(naming.path(name.path), name.is_link) for name in file.names]
    chosen = preferred_name(names, is_known=lambda path: path.as_posix() in known)
    if chosen.is_link:
        target = Path(os.path.realpath(chosen.path))
        if target.as_posix() in known:
            return target
    return chosen.path


def _may_be_listed_no_more(record: DocumentRecord, naming: DocumentNaming) -> bool:
    """Whether no folder lists the file although it is there, and it may have changed.

    It was listed for its first bytes, which may be others now; or a folder on its way has become a
    link, which is not entered.
    """
    if record.file.sha256 == NO_FILE.sha256:
        return False
    return not Path(record.source).suffix or naming.path(record.source).as_posix() != record.source
