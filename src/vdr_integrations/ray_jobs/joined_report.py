"""One report of the reports of all shards."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from vdr_integrations.index.sync.sync_report import SyncReport

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["joined_report"]


def joined_report(reports: Iterable[SyncReport]) -> SyncReport:
    """Lists one behind the other, and numbers added up; a trouble is told once."""
    joined = SyncReport()
    for report in reports:
        for field in fields(SyncReport):
            before, more = getattr(joined, field.name), getattr(report, field.name)
            setattr(joined, field.name, before + more)
    joined.troubles = list(dict.fromkeys(joined.troubles))
    return joined
