"""Which files a checkpoint is loaded from, and a digest of everything that decides its vectors."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import file_digest
from typing import TYPE_CHECKING, Any

from vdr_integrations.encoders.checkpoints.adapter import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from vdr_integrations.encoders.checkpoints.adapter_config import read_adapter_config
from vdr_integrations.encoders.checkpoints.digests import digest_of, tensors_digest
from vdr_integrations.encoders.checkpoints.model_config import CONFIG
from vdr_integrations.encoders.checkpoints.tokenizer_files import (
    ADDED_TOKENS,
    OLDER_TOKENIZER,
    SPECIAL_TOKENS,
    TOKENIZER,
    TOKENIZER_CONFIG,
)
from vdr_integrations.encoders.preprocessing.pixel_normalisation import read_normalisation
from vdr_integrations.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Generator

    from vdr_integrations.encoders.checkpoints.adapter_config import AdapterConfig
    from vdr_integrations.encoders.checkpoints.hub_or_folder import (
        CheckpointFiles,
        CheckpointFolder,
    )

__all__ = [
    "NOT_NEEDED",
    "CheckpointContents",
    "SmallFiles",
    "explained",
    "read_contents",
    "read_small_files",
]

NOT_NEEDED = frozenset({"lm_head.weight", "vlm.lm_head.weight"})
"""Weights of the language-model head, which makes words, not vectors."""

# These keys say who saved a file, for whom and how it is run. They change no vector.
_NO_MATTER_IN_CONFIG = frozenset(
    {
        "_attn_implementation",
        "_name_or_path",
        "architectures",
        "auto_map",
        "dtype",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
_NO_MATTER_IN_TOKENIZER_CONFIG = frozenset(
    {
        "auto_map",
        "chat_template",
        "clean_up_tokenization_spaces",
        "is_local",
        "local_files_only",
        "model_max_length",
        "name_or_path",
        "padding_side",
        "processor_class",
        "truncation_side",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointContents:
    """A checkpoint's files on this machine.

    Attributes:
        own: The checkpoint that the caller named.
        base: The base checkpoint of an adapter; for any other checkpoint the same as ``own``.
        is_adapter: Whether the checkpoint is an adapter.
        tokenizer: The folder with the tokenizer's files: ``own`` if it has them, else ``base``.
        digest: SHA-256, hexadecimal, of everything that decides vectors: weights, configuration,
            tokenizer, normalisation of pixels, adapter. The same contents in another folder,
            commit or division into files have the same digest.
    """

    own: CheckpointFolder
    base: CheckpointFolder
    is_adapter: bool
    tokenizer: CheckpointFolder
    digest: str

    @property
    def name(self) -> str:
        """Name of the checkpoint in error messages: hub id or folder."""
        return self.own.files.model


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallFiles:
    """A checkpoint without its weights: a few MB.

    Attributes:
        own: See ``CheckpointContents``.
        base: See ``CheckpointContents``.
        is_adapter: See ``CheckpointContents``.
        tokenizer: See ``CheckpointContents``.
        facts: What decides vectors beside weights and adapter, as JSON types.
    """

    own: CheckpointFolder
    base: CheckpointFolder
    is_adapter: bool
    tokenizer: CheckpointFolder
    facts: dict[str, Any]


def read_contents(files: CheckpointFiles) -> CheckpointContents:
    """Find, fetch and digest the files of a checkpoint; no weights are loaded.

    Raises:
        CheckpointError: Files are missing, damaged or cannot be fetched.
        CheckpointWeightsError: A weights file is not a complete safetensors file.
    """
    small = read_small_files(files)
    with explained(files):
        return CheckpointContents(
            own=small.own,
            base=small.base,
            is_adapter=small.is_adapter,
            tokenizer=small.tokenizer,
            digest=digest_of(
                {
                    "weights": tensors_digest(small.base.weights(), leave_out=NOT_NEEDED),
                    **small.facts,
                    "adapter": _adapter_facts(small.own) if small.is_adapter else None,
                }
            ),
        )


def read_small_files(files: CheckpointFiles) -> SmallFiles:
    """Find and fetch the files of a checkpoint beside its weights.

    Raises:
        CheckpointError: Files are missing, damaged or cannot be fetched.
    """
    with explained(files):
        files = files.for_now()
        own = files.folder_with(ADAPTER_CONFIG)
        is_adapter = own is not None
        if own is None:
            own = base = _folder_of_model(files)
        else:
            base = _folder_of_model(_files_of_base(own))
        # Some adapters are published with the processor's files, as ColQwen2's are, some without.
        whose = own if own.optional(TOKENIZER_CONFIG) else base
        return SmallFiles(
            own=own,
            base=base,
            is_adapter=is_adapter,
            tokenizer=whose,
            facts={
                "config": _without(base.facts(CONFIG), _NO_MATTER_IN_CONFIG),
                "tokenizer": _tokenizer_facts(whose),
                "normalisation": read_normalisation(whose),
            },
        )


@contextmanager
def explained(files: CheckpointFiles) -> Generator[None]:
    """Turn any error about a checkpoint's files into a CheckpointError that names it."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        # Incomplete files and git-lfs pointers cause errors of many types in many libraries.
        raise CheckpointError(
            f"{files.model} (revision {files.revision or 'main'}) could not be loaded: {error}"
        ) from error


def _folder_of_model(files: CheckpointFiles) -> CheckpointFolder:
    folder = files.folder_with(CONFIG)
    if folder is None:
        files.check_there()
        raise CheckpointError(
            f"{files.model} has no {CONFIG} and no {ADAPTER_CONFIG}: it is not a checkpoint, or "
            f"its download is incomplete. Check the name, or download it again."
        )
    return folder


def _files_of_base(own: CheckpointFolder) -> CheckpointFiles:
    adapter = _adapter_config(own)
    # A local adapter may name its base relative to itself.
    beside = own.path / adapter.base
    model = str(beside.resolve()) if beside.is_dir() else adapter.base
    return replace(own.files, model=model, revision=adapter.base_revision)


def _tokenizer_facts(folder: CheckpointFolder) -> dict[str, Any]:
    config = folder.facts(TOKENIZER_CONFIG)
    names = (TOKENIZER,) if folder.optional(TOKENIZER) else OLDER_TOKENIZER
    if "added_tokens_decoder" not in config:  # else transformers does not read these
        names = (*names, ADDED_TOKENS, SPECIAL_TOKENS)
    found: dict[str, Any] = {TOKENIZER_CONFIG: _without(config, _NO_MATTER_IN_TOKENIZER_CONFIG)}
    for name in names:
        if (path := folder.optional(name)) is not None:
            with path.open("rb") as file:
                found[name] = file_digest(file, "sha256").hexdigest()
    return found


def _adapter_config(own: CheckpointFolder) -> AdapterConfig:
    return read_adapter_config(own.file(ADAPTER_CONFIG), name=own.files.model)


def _adapter_facts(own: CheckpointFolder) -> dict[str, Any]:
    return {
        "config": _adapter_config(own).facts,
        "weights": tensors_digest([own.file(ADAPTER_WEIGHTS)]),
    }


def _without(facts: dict[str, Any], no_matter: frozenset[str]) -> dict[str, Any]:
    """The facts without these keys, in nested objects too."""
    return {
        key: _without(value, no_matter) if isinstance(value, dict) else value
        for key, value in facts.items()
        if key not in no_matter
    }
