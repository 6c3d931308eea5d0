"""A synchronisation from opening the index to its report, in one function that can be pickled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations import DenseEncoder
from vdr_integrations.index import DenseIndex, sync_index

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["synchronised"]


def synchronised(
    checkpoint: str, path: str, given: Sequence[str], drop_missing: bool = False
) -> dict[str, list[str]]:
    """The report of one run, as texts."""
    encoder = DenseEncoder.load(checkpoint, max_visual_tokens=16, dimension=32)
    with DenseIndex.open(Path(path)) as index:
        report = sync_index(index, encoder, given, drop_missing=drop_missing)
    return {
        "added": report.added,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "missing": report.missing,
        "failed": [str(failure.error) for failure in report.failed],
    }
