"""What URLs name, and which known documents are not there any more."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vdr_integrations.errors import DocumentOpenError
from vdr_integrations.index.sync.survey import Absence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vdr_integrations.pages.remote_documents import RemoteDocument, RemoteFolder

__all__ = ["RemoteSurvey", "survey_urls"]


@dataclass(frozen=True, slots=True)
class RemoteSurvey:
    """What was found at URLs.

    Attributes:
        found: The documents by name.
        errors: Why URLs name nothing.
        absent: Known documents below the URLs that were not found.
    """

    found: dict[str, RemoteDocument] = field(default_factory=dict[str, "RemoteDocument"])
    errors: list[DocumentOpenError] = field(default_factory=list[DocumentOpenError])
    absent: dict[str, Absence] = field(default_factory=dict[str, Absence])


def survey_urls(
    folders: Iterable[RemoteFolder], known: Iterable[str], *, drop_missing: bool
) -> RemoteSurvey:
    """List what is at the URLs.

    A known document below a URL is gone if others are there. If nothing is there, or if it cannot
    be listed, the document stays and is missing; ``drop_missing`` drops it in the first case.

    Args:
        folders: The URLs.
        known: Names of the documents of the index.
        drop_missing: See ``sync_index``.

    Raises:
        MissingExtraError: The package for such URLs is not installed.
        OptionError: fsspec does not know such URLs.
    """
    survey = RemoteSurvey()
    sources = list(known)
    for folder in folders:
        covered = [source for source in sources if folder.covers(source)]
        is_nothing = False
        try:
            found = folder.listed()
            is_nothing = not found
            gone = Absence.LISTED if is_nothing else Absence.DROPPED
        except OSError as problem:
            found, gone = [], Absence.LISTED
            is_nothing = problem.errno == errno.ENOENT
            if not (is_nothing and drop_missing and covered):
                why = (problem.strerror or str(problem) or type(problem).__name__).rstrip(".")
                survey.errors.append(
                    DocumentOpenError(f"it cannot be listed ({why}).", source=str(folder.place))
                )
        if is_nothing and drop_missing:
            gone = Absence.DROPPED
        survey.found.update((one.source, one) for one in found)
        survey.absent.update(dict.fromkeys(covered, gone))
    for source in survey.found:
        survey.absent.pop(source, None)
    return survey
