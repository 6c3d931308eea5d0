"""A hub's cache on this machine, filled by hand: nothing is downloaded in tests."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["cached_repository"]


def cached_repository(cache: Path, model: str, source: Path, *, commit: str) -> Path:
    """Put a folder into the cache as a commit of a repository, and let ``main`` be that commit.

    Returns:
        The snapshot's folder.
    """
    repository = cache / f"models--{model.replace('/', '--')}"
    snapshot = repository / "snapshots" / commit
    shutil.copytree(source, snapshot)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    return snapshot
