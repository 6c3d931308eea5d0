"""Files of a checkpoint, in a folder or on the hub, all from one commit.

``huggingface_hub`` is imported where a hub is asked: folders, and bundled checkpoints, need none.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from vdr_integrations.errors import CheckpointError

__all__ = ["CheckpointFiles", "CheckpointFolder"]

_WEIGHTS = "model.safetensors"
_WEIGHTS_INDEX = "model.safetensors.index.json"
_COMMIT = re.compile(r"[0-9a-f]{40}")


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
    no_hub: str = field(default="", compare=False)
    """Why the hub cannot be used now; empty if it can, or if no hub is needed."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of the user."""
        return Path(self.model).is_dir()

    def for_now(self) -> CheckpointFiles:
        """The same files, from this machine alone if the hub cannot be used now."""
        if self.is_folder:
            return self
        if self.local_files_only:
            return replace(self, no_hub="local_files_only=True forbids to connect to it")
        import huggingface_hub as hub

        from vdr_integrations.encoders.checkpoints.hub_reachable import why_out_of_reach

        if hub.is_offline_mode():
            return replace(self, no_hub="HF_HUB_OFFLINE forbids to connect to it")
        if _COMMIT.fullmatch(self.revision or "") and self._cached(_WEIGHTS):
            return self
        reason = why_out_of_reach()
        return replace(self, local_files_only=True, no_hub=reason) if reason else self

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
        commit = None if self.is_folder else _commit_of(path)
        pinned = self if commit is None else replace(self, revision=commit)
        return CheckpointFolder(files=pinned, path=path.parent, commit=commit)

    def find(self, name: str) -> Path | None:
        """The file, downloaded if needed; None if the checkpoint has no such file.

        Raises:
            CheckpointError: The hub has no such checkpoint, or refuses it.
            OSError: The hub cannot be reached.
        """
        if self.is_folder:
            path = Path(self.model, name)
            return path if path.is_file() else None
        if _COMMIT.fullmatch(self.revision or ""):  # a commit does not change
            known = self._cached(name)
            if known is not None:
                return known or None
        import huggingface_hub as hub
        from huggingface_hub.errors import (
            EntryNotFoundError,
            GatedRepoError,
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        try:
            found = hub.hf_hub_download(
                self.model,
                name,
                revision=self.revision or "main",
                token=self.token,
                cache_dir=self.cache_dir,
                local_files_only=self.local_files_only,
            )
        except LocalEntryNotFoundError:
            if self.no_hub:
                return None
            raise
        except EntryNotFoundError:
            return None
        except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError) as error:
            raise CheckpointError(_refusal(self, error)) from error
        except HFValidationError as error:
            raise CheckpointError(
                f"{self.model!r} is neither a folder nor the name of a model on the hub; give the "
                f"folder of a checkpoint, a hub id such as owner/name, or 'nano'."
            ) from error
        return Path(found)

    def check_there(self) -> None:
        """Refuse a checkpoint that would have to be downloaded, if the hub cannot be used.

        Raises:
            CheckpointError: Nothing of it is on this machine.
        """
        if self.no_hub:
            from huggingface_hub import constants

            raise CheckpointError(
                f"{self.model} (revision {self.revision or 'main'}) is not on this machine, and "
                f"the hub ({constants.ENDPOINT}) cannot be used: {self.no_hub}. Allow the "
                f"connection, or give the folder of a checkpoint. --model nano needs no download; "
                f"vdr doctor says what is on this machine."
            )

    def _cached(self, name: str) -> Path | Literal[False] | None:
        """The file in the cache; False if the hub has said that there is none; None: unknown."""
        import huggingface_hub as hub

        found = hub.try_to_load_from_cache(
            self.model, name, cache_dir=self.cache_dir, revision=self.revision or "main"
        )
        if found is None:
            return None
        return Path(found) if isinstance(found, str) else False


def _commit_of(path: Path) -> str | None:
    """The commit of a file in the cache of the hub."""
    return next((part for part in path.parts[::-1] if _COMMIT.fullmatch(part)), None)


def _refusal(files: CheckpointFiles, error: Exception) -> str:
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    where = f"{files.model} (revision {files.revision or 'main'}) could not be loaded: "
    if isinstance(error, GatedRepoError):
        return (
            f"{where}its owner must let you in. Ask for access at "
            f"{constants.ENDPOINT}/{files.model}, then give a token (hf auth login, or HF_TOKEN)."
        )
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"{where}the hub has no such model, and there is no such folder. Check the name. A "
            f"private model needs a token (hf auth login, or HF_TOKEN)."
        )
    return (
        f"{where}the model has no such revision. {constants.ENDPOINT}/{files.model} shows those "
        f"that it has."
    )


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
                + (f" The hub cannot be used now: {self.files.no_hub}." * bool(self.files.no_hub))
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
