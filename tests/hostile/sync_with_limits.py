"""A synchronisation with low limits, and what it says about the files of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdr_integrations.index import DenseIndex, SyncReport, sync_index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.hostile.hostile_case import Outcome

    from vdr_integrations import DenseEncoder

__all__ = ["Seen", "sync_with_limits"]

PAGE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a synchronisation did.

    Attributes:
        indexed: Names of the files with pages in the index.
        refused: Messages about files and pages that are not in the index.
        pages_refused: Whether one of the messages is about a page.
        warnings: Messages about pages that are in the index.
    """

    indexed: frozenset[str]
    refused: tuple[str, ...]
    pages_refused: bool
    warnings: tuple[str, ...]

    @property
    def outcome(self) -> Outcome:
        """Of a folder of one file."""
        if self.pages_refused:
            return "page refused"
        if self.refused or not self.indexed:
            return "file refused"
        return "warned" if self.warnings else "indexed"

    def beside(self, good: Path) -> Seen:
        """The same without a file that is good."""
        name = good.as_posix()
        return Seen(
            self.indexed - {name},
            tuple(one for one in self.refused if name not in one),
            self.pages_refused,
            tuple(one for one in self.warnings if name not in one),
        )


def sync_with_limits(index: DenseIndex, encoder: DenseEncoder, paths: Sequence[Path]) -> Seen:
    """Index files and folders, with a limit of a few seconds for each page."""
    return _seen(sync_index(index, encoder, paths, render_workers=1, page_timeout_s=PAGE_TIMEOUT_S))


def _seen(report: SyncReport) -> Seen:
    return Seen(
        frozenset([*report.added, *report.changed, *report.unchanged]),
        tuple(str(failure.error) for failure in report.failed),
        any(failure.page_number is not None for failure in report.failed),
        tuple(f"{warning.source}: {warning.message}" for warning in report.warnings),
    )
