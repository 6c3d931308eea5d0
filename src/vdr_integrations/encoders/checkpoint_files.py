"""Files of a checkpoint, in a folder or on the hub, as transformers finds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers.utils.hub import cached_file, extract_commit_hash

__all__ = ["CheckpointFiles", "WeightsSource"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSource:
    """Where weights were read from.

    Attributes:
        model: Hub id or folder.
        revision: Commit of the hub repository, None for a folder.
        folder: Folder that the configuration was read from.
    """

    model: str
    revision: str | None
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFiles:
    """Where files come from; the options mean what they mean to transformers."""

    model: str
    revision: str | None = None
    token: str | None = None
    cache_dir: str | None = None
    local_files_only: bool = False

    def options(self) -> dict[str, Any]:
        """Keyword arguments of ``from_pretrained``."""
        return {
            "revision": self.revision or "main",
            "token": self.token,
            "cache_dir": self.cache_dir,
            "local_files_only": self.local_files_only,
        }

    def path(self, name: str) -> Path:
        """The file, downloaded if need be.

        Raises:
            OSError: The checkpoint has no such file, or it cannot be fetched.
        """
        return Path(str(cached_file(self.model, name, **self.options())))

    def optional(self, name: str) -> Path | None:
        """The file, or None where the checkpoint has no such file."""
        path = cached_file(
            self.model, name, _raise_exceptions_for_missing_entries=False, **self.options()
        )
        return Path(path) if path else None

    def source(self, name: str) -> WeightsSource:
        """Commit and folder, as the place of the file ``name`` tells them.

        Raises:
            OSError: The checkpoint has no such file, or it cannot be fetched.
        """
        path = self.path(name)
        return WeightsSource(
            model=self.model, revision=extract_commit_hash(str(path), None), folder=path.parent
        )
