"""A checkpoint's files to a model, a tokenizer and their facts: the only ``from_pretrained``."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import AutoConfig, AutoTokenizer, Qwen2VLForConditionalGeneration
from transformers.utils import logging as transformers_logging
from transformers.utils.hub import cached_file, extract_commit_hash

from vdr_integrations.encoders.patch_embedding import BytePatchEmbedding
from vdr_integrations.errors import CheckpointError, CheckpointWeightsError

if TYPE_CHECKING:
    from collections.abc import Generator

    import torch
    from tokenizers import Tokenizer

__all__ = ["CheckpointFiles", "LoadedWeights", "load_weights"]

_Loose = Any
"""transformers annotates its models and configurations too loosely to be of help."""

_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_NOT_NEEDED = {"lm_head.weight"}
_SHOWN = 6


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedWeights:
    """A checkpoint in memory.

    Attributes:
        model: The backbone without its language-model head, patch embedding over bytes.
        tokenizer: The fast tokenizer's core.
        revision: Commit of the hub repository, None for a folder.
        folder: Folder that config.json was read from.
        max_tokens: Positions that the checkpoint was made for.
    """

    model: _Loose
    tokenizer: Tokenizer
    revision: str | None
    folder: Path
    max_tokens: int


def load_weights(
    files: CheckpointFiles,
    *,
    device: torch.device,
    dtype: torch.dtype,
    attn_implementation: str,
) -> LoadedWeights:
    """Load a Qwen2-VL checkpoint without remote code.

    Raises:
        CheckpointError: Files are missing or are those of another architecture.
        CheckpointWeightsError: Weights are missing, unexpected or of another shape.
    """
    with _explained(files):
        config: _Loose = AutoConfig.from_pretrained(files.model, **files.options())
        if config.model_type != "qwen2_vl":
            raise CheckpointError(
                f"{files.model} is a {config.model_type!r} checkpoint; only 'qwen2_vl' is "
                f"understood here."
            )
        tokenizer = AutoTokenizer.from_pretrained(files.model, **files.options())
        normalisation = _normalisation(files)
        backbone = _backbone(files, config, dtype=dtype, attn_implementation=attn_implementation)
        config_file = Path(str(cached_file(files.model, "config.json", **files.options())))
    convolution = backbone.visual.patch_embed.proj.weight
    backbone.visual.patch_embed = BytePatchEmbedding(
        convolution, mean=normalisation[0], std=normalisation[1]
    )
    return LoadedWeights(
        model=backbone.to(device).eval().requires_grad_(requires_grad=False),
        tokenizer=tokenizer.backend_tokenizer,
        revision=extract_commit_hash(str(config_file), None),
        folder=config_file.parent,
        max_tokens=config.text_config.max_position_embeddings,
    )


def _backbone(
    files: CheckpointFiles, config: _Loose, *, dtype: torch.dtype, attn_implementation: str
) -> _Loose:
    # The class with the head knows every layout that Qwen2-VL was ever saved in; the head itself
    # is dropped (0.37 TFLOP and 241 MB of logits a page).
    with _quiet_loading():
        loaded: _Loose = Qwen2VLForConditionalGeneration.from_pretrained(
            files.model,
            config=config,
            dtype=dtype,
            attn_implementation=attn_implementation,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # reported below, by name, instead of in a log
            output_loading_info=True,
            **files.options(),
        )
    model, report = loaded
    problems = {
        "missing": set(report["missing_keys"]) - _NOT_NEEDED,
        "unexpected": set(report["unexpected_keys"]) - _NOT_NEEDED,
        "of another shape": {key for key, *_ in report.get("mismatched_keys") or ()},
    }
    found = [f"{_some(keys)} {what}" for what, keys in problems.items() if keys]
    if found:
        raise CheckpointWeightsError(
            f"the weights of {files.model} do not fit Qwen2-VL as its config.json describes it: "
            f"{'; '.join(found)}. The vectors would be noise. Download the checkpoint again, or "
            f"check that it was saved whole and un-adapted."
        )
    return model.model


def _some(keys: set[str]) -> str:
    shown = ", ".join(sorted(keys)[:_SHOWN])
    return shown if len(keys) <= _SHOWN else f"{shown} and {len(keys) - _SHOWN} more"


def _normalisation(files: CheckpointFiles) -> tuple[tuple[float, ...], tuple[float, ...]]:
    path = cached_file(
        files.model,
        "preprocessor_config.json",
        _raise_exceptions_for_missing_entries=False,
        **files.options(),
    )
    facts = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    return tuple(facts.get("image_mean", _CLIP_MEAN)), tuple(facts.get("image_std", _CLIP_STD))


@contextmanager
def _explained(files: CheckpointFiles) -> Generator[None]:
    try:
        yield
    except CheckpointError:
        raise
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{files.model} (revision {files.revision or 'main'}) could not be loaded: {error}"
        ) from error


@contextmanager
def _quiet_loading() -> Generator[None]:
    # The report is read and raised as an error; printing it too would say it twice. Downloads
    # have bars of their own, which HF_HUB_DISABLE_PROGRESS_BARS governs.
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
