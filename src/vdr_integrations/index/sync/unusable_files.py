"""Files of which no page can be indexed: known before a model is loaded and an index is made."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from vdr_integrations.errors import PageError
from vdr_integrations.index.sync.survey import survey_files
from vdr_integrations.index.sync.sync_report import SyncFailure, SyncReport
from vdr_integrations.pages.drawing.draw_ahead import own_lane
from vdr_integrations.pages.open_document import open_document
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from vdr_integrations.index.records import DocumentRecord
    from vdr_integrations.pages.process_limits import ProcessLimits

__all__ = ["unusable_files"]

_BUDGET = PixelBudget()

_LONG_S = 5.0
"""A page that takes longer may be usable: the synchronisation gives it all its time."""


def unusable_files(
    paths: Sequence[Path],
    known: Mapping[str, DocumentRecord],
    *,
    password: str | None,
    limits: ProcessLimits | None,
) -> SyncReport | None:
    """The report of a synchronisation that would have nothing to do but to fail.

    For a new index, files are opened until a first page can be drawn, or takes long.

    Args:
        paths: Files, folders and patterns.
        known: The documents of the index by name; empty for a new index.
        password: Password of encrypted PDFs.
        limits: Limits of the process that opens files; None opens them in this process.

    Returns:
        Why nothing can be indexed; None if there is something to do.

    Raises:
        ResourceError: This machine cannot open more files, or start a process.
        MissingExtraError: A PDF was found and PyMuPDF is not installed.
    """
    survey = survey_files(paths, known, drop_missing=False)
    report = SyncReport()
    report.failed += [SyncFailure(one.source, None, one) for one in survey.errors]
    if known:
        has_work = survey.found or survey.superseded or survey.absent
        return None if has_work else report
    if limits is not None:
        limits = replace(limits, page_timeout_s=min(limits.page_timeout_s, _LONG_S))
    for path in survey.found:
        for failure in _failures(path, password, limits):
            if failure is None:
                return None
            report.failed.append(failure)
    return report


def _failures(
    path: Path, password: str | None, limits: ProcessLimits | None
) -> Iterator[SyncFailure | None]:
    """What is wrong with the pages of a file; None for a page that can be drawn, or takes long."""
    source, begun_s = path.as_posix(), time.monotonic()
    try:
        source.encode()
    except UnicodeEncodeError:  # the synchronisation says what is wrong with the name
        yield None
        return
    try:
        with (
            own_lane(1) as lane,
            open_document(path, name=source, password=password, process_limits=limits) as pages,
        ):
            for number, page in enumerate(pages, start=1):
                try:
                    page.begin(_BUDGET, lane=lane)()
                except PageError as error:
                    took_long = time.monotonic() - begun_s >= _LONG_S
                    yield None if took_long else SyncFailure(source, number, error)
                else:
                    yield None
    except PageError as error:
        took_long = time.monotonic() - begun_s >= _LONG_S
        yield None if took_long else SyncFailure(source, None, error)
