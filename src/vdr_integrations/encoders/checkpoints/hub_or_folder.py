"""Files of a checkpoint, in a folder or on the hub, all from one commit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from transformers.utils.hub import cached_file, extract_commit_hash

from vdr_integrations.errors import CheckpointError

__all__ = ["CheckpointFiles", "CheckpointFolder"]

_WEIGHTS = "model.safetensors"
_WEIGHTS_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFiles:
    """Where files come from. The options mean the same as in transformers.

    They decide how files are fetched, not what is in them.
    """

    model: str
    revision: str | None = None
    token: str | None = field(default=None, repr=False)
    cache_dir: str | None = None
    local_files_only: bool = False

    def folder_with(self, name: str) -> CheckpointFolder | None:
        """The folder that has the file ``name``; None if the checkpoint has no such file.

        A branch on the hub is resolved once, here: everything that is read from the folder later is
        from the same commit.

        Raises:
            OSError: The hub cannot be reached, or refuses.
        """
        path = self.find(name)
        if path is None:
            return None
        is_local = Path(self.model).is_dir()
        commit = None if is_local else extract_commit_hash(str(path), None)
        pinned = self if commit is None else replace(self, revision=commit)
        return CheckpointFolder(files=pinned, path=path.parent, commit=commit)

    def find(self, name: str, *, is_needed: bool = False) -> Path | None:
        """The file, downloaded if needed; None if the checkpoint has no such file.

        Args:
            name: Name of the file.
            is_needed: Let transformers raise an error that says why a file is missing: offline and
                never downloaded, a revision that does not exist, or no such file.

        Raises:
            OSError: The hub cannot be reached, or refuses; or the file is missing and needed.
        """
        found = cached_file(
            self.model,
            name,
            revision=self.revision or "main",
            token=self.token,
            cache_dir=self.cache_dir,
            local_files_only=self.local_files_only,
            _raise_exceptions_for_missing_entries=is_needed,
        )
        return Path(found) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFolder:
    """A checkpoint's folder on this machine; its files are downloaded when they are first needed.

    Attributes:
        files: Where the files come from.
        path: The folder.
        commit: Commit of the hub repository; None for a local folder of the user.
    """

    files: CheckpointFiles
    path: Path
    commit: str | None

    def file(self, name: str) -> Path:
        """The file ``name``.

        Raises:
            CheckpointError: The checkpoint has no such file.
            OSError: The file cannot be fetched.
        """
        found = self.files.find(name)
        if found is None:
            raise CheckpointError(
                f"{self.files.model} has no {name}. Download the checkpoint again."
            )
        return found

    def optional(self, name: str) -> Path | None:
        """The file ``name``, or None if the checkpoint has no such file."""
        return self.files.find(name)

    def facts(self, name: str) -> dict[str, Any]:
        """The object in a JSON file; empty if there is no such file.

        Raises:
            CheckpointError: The file is not JSON, or has something else than an object.
        """
        path = self.optional(name)
        if path is None:
            return {}
        try:
            facts: Any = json.loads(path.read_text(encoding="utf-8"))
            found = f"has a {type(facts).__name__} instead of an object"
        except ValueError as error:
            facts, found = None, f"is not JSON ({error})"
        if isinstance(facts, dict):
            return facts
        raise CheckpointError(f"{self.files.model}: {name} {found}. Download the checkpoint again.")

    def weights(self) -> list[Path]:
        """The safetensors files of the model, the same that transformers would read.

        Raises:
            CheckpointError: There are none, or the file that lists several is damaged.
            OSError: A file cannot be fetched.
        """
        if (single := self.optional(_WEIGHTS)) is not None:
            return [single]
        shards: Any = self.facts(_WEIGHTS_INDEX).get("weight_map")
        if not isinstance(shards, dict) or not all(
            isinstance(name, str) and Path(name).name == name for name in shards.values()
        ):
            raise CheckpointError(
                f"{self.files.model} has no {_WEIGHTS} and no {_WEIGHTS_INDEX} that names its "
                f"parts. Download the checkpoint again; weights in pickles are not read."
            )
        return [self.file(name) for name in sorted(set(shards.values()))]
