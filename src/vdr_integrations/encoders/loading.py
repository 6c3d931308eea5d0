"""A checkpoint's files to a model, a tokenizer and their facts: the only ``from_pretrained``."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoTokenizer,
    ColQwen2ForRetrieval,
    Qwen2VLForConditionalGeneration,
)
from transformers.utils import logging as transformers_logging

from vdr_integrations.encoders.adapter import ADAPTER_CONFIG, PROJECTION, read_adapter, read_base
from vdr_integrations.encoders.normalisation import read_normalisation
from vdr_integrations.encoders.packed_weights import pack
from vdr_integrations.encoders.patch_embedding import BytePatchEmbedding
from vdr_integrations.encoders.projection import TokenProjection
from vdr_integrations.errors import CheckpointError, CheckpointWeightsError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from tokenizers import Tokenizer

    from vdr_integrations.encoders.adapter import Adapter
    from vdr_integrations.encoders.checkpoint_files import CheckpointFiles, WeightsSource
    from vdr_integrations.encoders.packed_weights import Packing

__all__ = ["LoadedWeights", "load_weights", "stored_dtype"]

_Loose = Any
"""transformers annotates its models and configurations too loosely to be of help."""

_NOT_NEEDED = frozenset({"lm_head.weight", "vlm.lm_head.weight"})
_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedWeights:
    """A checkpoint in memory.

    Attributes:
        model: The backbone without its language-model head, patch embedding over bytes.
        projection: To token vectors; None for a dense checkpoint.
        tokenizer: The fast tokenizer's core.
        sources: The checkpoint, and the base of an adapter.
        max_tokens: Positions that the checkpoint was made for.
    """

    model: _Loose
    projection: TokenProjection | None
    tokenizer: Tokenizer
    sources: tuple[WeightsSource, ...]
    max_tokens: int


def load_weights(
    files: CheckpointFiles,
    *,
    device: torch.device,
    dtype: torch.dtype,
    packing: Packing | None = None,
    attn_implementation: str,
    token_dimension: int | None = None,
) -> LoadedWeights:
    """Load a Qwen2-VL checkpoint without remote code.

    Args:
        files: Of the checkpoint: whole, an adapter over another, or transformers' own ColQwen2.
        device: Where the weights go.
        dtype: Their format.
        packing: Keep matrices in 8 bits; they are read as bfloat16 then, which is how they were
            published.
        attn_implementation: As in transformers.
        token_dimension: Load the projection of a late-interaction checkpoint, of this many rows.

    Raises:
        CheckpointError: Files are missing or are those of another architecture.
        CheckpointWeightsError: Weights are missing, unexpected or of another shape.
    """
    with _explained(files):
        adapter = None if token_dimension is None else _adapter(files)
        base = files if adapter is None else _base_of(files, adapter)
        config: _Loose = AutoConfig.from_pretrained(base.model, **base.options())
        allowed = {"qwen2_vl"} if token_dimension is None else {"qwen2_vl", "colqwen2"}
        if config.model_type not in allowed:
            raise CheckpointError(
                f"{base.model} is a {config.model_type!r} checkpoint; "
                f"{' and '.join(map(repr, sorted(allowed)))} are understood here."
            )
        # Adapters are published with the processor's files, as ColQwen2's are, or without.
        whose = files if files.optional("tokenizer_config.json") else base
        tokenizer = AutoTokenizer.from_pretrained(whose.model, **whose.options())
        normalisation = read_normalisation(whose)
        sources = [] if adapter is None else [files.source(ADAPTER_CONFIG)]
        sources.append(base.source("config.json"))
        loading: dict[str, _Loose] = {
            "dtype": torch.bfloat16 if packing else dtype,
            "attn_implementation": attn_implementation,
        }
        if token_dimension is None:
            backbone = _read(Qwen2VLForConditionalGeneration, base, config, **loading).model
            projection = None
        else:
            backbone, projection = _with_projection(base, config, adapter, **loading)
            if projection.dimension != token_dimension:
                raise CheckpointError(
                    f"{files.model} projects to {projection.dimension} components a token; its "
                    f"description says token_dimension={token_dimension}."
                )
    if packing:
        pack(backbone, packing)
        backbone.to(dtype)
    convolution = backbone.visual.patch_embed.proj.weight
    backbone.visual.patch_embed = BytePatchEmbedding(
        convolution, mean=normalisation[0], std=normalisation[1]
    )
    return LoadedWeights(
        model=backbone.to(device).eval().requires_grad_(requires_grad=False),
        projection=None if projection is None else projection.to(device, dtype),
        tokenizer=tokenizer.backend_tokenizer,
        sources=tuple(sources),
        max_tokens=config.get_text_config().max_position_embeddings,
    )


def stored_dtype(files: CheckpointFiles) -> torch.dtype:
    """What a checkpoint's configuration says that its weights are in; of an adapter, its base's.

    Returns:
        bfloat16, or float32 for all that a CPU is no faster with.

    Raises:
        CheckpointError: As :func:`load_weights`.
    """
    with _explained(files):
        adapted = files.optional(ADAPTER_CONFIG)
        base = _base_of(files, read_base(adapted, name=files.model)) if adapted else files
        config: _Loose = AutoConfig.from_pretrained(base.model, **base.options())
    return torch.bfloat16 if config.dtype == torch.bfloat16 else torch.float32


def _with_projection(
    files: CheckpointFiles, config: _Loose, adapter: Adapter | None, **loading: _Loose
) -> tuple[_Loose, TokenProjection]:
    if config.model_type == "colqwen2":
        whole = _read(ColQwen2ForRetrieval, files, config, **loading)
        linear = whole.embedding_proj_layer
        backbone, tensors = whole.vlm, {"weight": linear.weight.data, "bias": linear.bias.data}
    else:
        # colpali-engine keeps the projection among Qwen2-VL's own tensors.
        names = {part: f"{PROJECTION}.{part}" for part in ("weight", "bias")}
        whole = _read(
            Qwen2VLForConditionalGeneration, files, config, not_needed=names.values(), **loading
        )
        backbone, tensors = whole.model, _tensors(files, names)
    tensors |= adapter.replacements if adapter else {}
    missing = {"weight", "bias"} - set(tensors)
    if missing:
        raise CheckpointWeightsError(
            f"{files.model} has no {PROJECTION} ({', '.join(sorted(missing))} missing): it is no "
            f"late-interaction checkpoint, or an adapter belongs over it."
        )
    projection = TokenProjection(tensors["weight"], tensors["bias"])
    if adapter is not None:
        _apply(adapter, backbone, projection, name=files.model)
    return backbone, projection


def _tensors(files: CheckpointFiles, names: dict[str, str]) -> dict[str, torch.Tensor]:
    """Single tensors of a checkpoint by their names; those it does not have are left out."""
    index = files.optional("model.safetensors.index.json")
    shards = dict.fromkeys(names.values(), "model.safetensors")
    if index is not None:
        known = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = {name: known[name] for name in names.values() if name in known}
    found: dict[str, torch.Tensor] = {}
    for part, name in names.items():
        if name in shards:
            with safe_open(files.path(shards[name]), framework="pt") as file:
                if name in file.keys():  # noqa: SIM118  # no mapping
                    found[part] = file.get_tensor(name)
    return found


@torch.no_grad()
def _apply(adapter: Adapter, backbone: _Loose, projection: TokenProjection, *, name: str) -> None:
    modules = dict(backbone.named_modules())
    for target, update in adapter.updates.items():
        module = projection if target == PROJECTION else modules.get(target)
        if module is None or module.weight.shape != update.shape:
            found = "has none" if module is None else f"has one of {tuple(module.weight.shape)}"
            raise CheckpointWeightsError(
                f"the adapter does not fit its base {name}: it changes a weight {target} of "
                f"{tuple(update.shape)}, and the base {found}. Both must be of the same model."
            )
        module.weight.copy_(module.weight.float() + update)


def _read(
    kind: _Loose,
    files: CheckpointFiles,
    config: _Loose,
    *,
    dtype: torch.dtype,
    attn_implementation: str,
    not_needed: Iterable[str] = (),
) -> _Loose:
    # The class with the head knows every layout that Qwen2-VL was ever saved in; the head itself
    # is dropped (0.37 TFLOP and 241 MB of logits a page).
    with _quiet_loading():
        loaded: _Loose = kind.from_pretrained(
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
    spare = _NOT_NEEDED.union(not_needed)
    problems = {
        "missing": set(report["missing_keys"]) - spare,
        "unexpected": set(report["unexpected_keys"]) - spare,
        "of another shape": {key for key, *_ in report.get("mismatched_keys") or ()},
    }
    found = [f"{_some(keys)} {what}" for what, keys in problems.items() if keys]
    if found:
        raise CheckpointWeightsError(
            f"the weights of {files.model} do not fit Qwen2-VL as its config.json describes it: "
            f"{'; '.join(found)}. The vectors would be noise. Download the checkpoint again, or "
            f"check that it was saved whole and un-adapted."
        )
    return model


def _some(keys: set[str]) -> str:
    shown = ", ".join(sorted(keys)[:_SHOWN])
    return shown if len(keys) <= _SHOWN else f"{shown} and {len(keys) - _SHOWN} more"


def _adapter(files: CheckpointFiles) -> Adapter | None:
    config = files.optional(ADAPTER_CONFIG)
    if config is None:
        return None
    return read_adapter(config, files.path("adapter_model.safetensors"), name=files.model)


def _base_of(files: CheckpointFiles, adapter: Adapter) -> CheckpointFiles:
    # A local adapter may name its base relative to itself.
    beside = adapter.folder / adapter.base
    model = str(beside.resolve()) if beside.is_dir() else adapter.base
    return replace(files, model=model, revision=adapter.base_revision)


@contextmanager
def _explained(files: CheckpointFiles) -> Generator[None]:
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        # Files that are cut short, or pointers of git-lfs, end in errors of many libraries.
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
