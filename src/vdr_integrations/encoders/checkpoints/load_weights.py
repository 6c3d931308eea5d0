"""A checkpoint's files to a model, a tokenizer and their facts: the only ``from_pretrained``."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
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

from vdr_integrations.encoders.checkpoints.adapter import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    PROJECTION,
    read_adapter,
)
from vdr_integrations.encoders.checkpoints.contents import NOT_NEEDED, explained
from vdr_integrations.encoders.forward.eight_bit_weights import pack
from vdr_integrations.encoders.forward.patch_embedding import BytePatchEmbedding
from vdr_integrations.encoders.forward.projection import TokenProjection
from vdr_integrations.encoders.preprocessing.pixel_normalisation import read_normalisation
from vdr_integrations.errors import CheckpointError, CheckpointWeightsError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from tokenizers import Tokenizer

    from vdr_integrations.encoders.checkpoints.adapter import Adapter
    from vdr_integrations.encoders.checkpoints.contents import CheckpointContents
    from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFolder
    from vdr_integrations.encoders.forward.eight_bit_weights import Packing

__all__ = ["LoadedWeights", "load_weights", "stored_dtype"]

_Loose = Any
"""transformers annotates its models and configurations too loosely to be of help."""

_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class LoadedWeights:
    """A checkpoint in memory.

    Attributes:
        model: The backbone without its language-model head, patch embedding over bytes.
        projection: To token vectors; None for a dense checkpoint.
        tokenizer: The fast tokenizer's core.
        max_tokens: Positions that the checkpoint was made for.
        digest: Of all in its files that decides vectors.
        in_use: Held while the model computes: one thread at a time.
    """

    model: _Loose
    projection: TokenProjection | None
    tokenizer: Tokenizer
    max_tokens: int
    digest: str
    in_use: threading.Lock = field(default_factory=threading.Lock)


def load_weights(
    contents: CheckpointContents,
    *,
    device: torch.device,
    dtype: torch.dtype,
    packing: Packing | None = None,
    attn_implementation: str,
    token_dimension: int | None = None,
) -> LoadedWeights:
    """Load a Qwen2-VL checkpoint without remote code.

    Args:
        contents: Of the checkpoint: whole, an adapter over another, or transformers' own ColQwen2.
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
    base = contents.base
    with explained(contents.own.files):
        config: _Loose = AutoConfig.from_pretrained(base.path, local_files_only=True)
        allowed = {"qwen2_vl"} if token_dimension is None else {"qwen2_vl", "colqwen2"}
        if config.model_type not in allowed:
            raise CheckpointError(
                f"{base.files.model} is a {config.model_type!r} checkpoint; "
                f"{' and '.join(map(repr, sorted(allowed)))} are understood here."
            )
        tokenizer = AutoTokenizer.from_pretrained(contents.tokenizer.path, local_files_only=True)
        normalisation = read_normalisation(contents.tokenizer)
        adapter = _adapter(contents)
        loading: dict[str, _Loose] = {
            "dtype": torch.bfloat16 if packing else dtype,
            "attn_implementation": attn_implementation,
        }
        projection = None
        if token_dimension is None:
            backbone = _read(Qwen2VLForConditionalGeneration, base, config, **loading).model
        else:
            backbone, projection = _with_projection(base, config, adapter, **loading)
            if projection.dimension != token_dimension:
                raise CheckpointError(
                    f"{contents.name} projects to {projection.dimension} components a token; its "
                    f"description says token_dimension={token_dimension}."
                )
        if adapter is not None:
            _apply(adapter, backbone, projection, name=base.files.model)
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
        max_tokens=config.get_text_config().max_position_embeddings,
        digest=contents.digest,
    )


def stored_dtype(contents: CheckpointContents) -> torch.dtype:
    """What a checkpoint's configuration says that its weights are in; of an adapter, its base's.

    Returns:
        bfloat16, or float32 for all that a CPU is no faster with.

    Raises:
        CheckpointError: As :func:`load_weights`.
    """
    with explained(contents.own.files):
        config: _Loose = AutoConfig.from_pretrained(contents.base.path, local_files_only=True)
    return torch.bfloat16 if config.dtype == torch.bfloat16 else torch.float32


def _with_projection(
    folder: CheckpointFolder, config: _Loose, adapter: Adapter | None, **loading: _Loose
) -> tuple[_Loose, TokenProjection]:
    if config.model_type == "colqwen2":
        whole = _read(ColQwen2ForRetrieval, folder, config, **loading)
        linear = whole.embedding_proj_layer
        backbone, tensors = whole.vlm, {"weight": linear.weight.data, "bias": linear.bias.data}
    else:
        # colpali-engine keeps the projection among Qwen2-VL's own tensors.
        names = {part: f"{PROJECTION}.{part}" for part in ("weight", "bias")}
        whole = _read(
            Qwen2VLForConditionalGeneration, folder, config, not_needed=names.values(), **loading
        )
        backbone, tensors = whole.model, _tensors(folder, names)
    tensors |= adapter.replacements if adapter else {}
    missing = {"weight", "bias"} - set(tensors)
    if missing:
        raise CheckpointWeightsError(
            f"{folder.files.model} has no {PROJECTION} ({', '.join(sorted(missing))} missing): it "
            f"is no late-interaction checkpoint, or an adapter belongs over it."
        )
    return backbone, TokenProjection(tensors["weight"], tensors["bias"])


def _tensors(folder: CheckpointFolder, names: dict[str, str]) -> dict[str, torch.Tensor]:
    """Single tensors of a checkpoint by their names; those it does not have are left out."""
    found: dict[str, torch.Tensor] = {}
    for path in folder.weights():
        with safe_open(path, framework="pt") as file:
            known = set(file.keys())
            found |= {part: file.get_tensor(name) for part, name in names.items() if name in known}
    return found


@torch.no_grad()
def _apply(
    adapter: Adapter, backbone: _Loose, projection: TokenProjection | None, *, name: str
) -> None:
    modules = dict(backbone.named_modules())
    if projection is not None:
        modules[PROJECTION] = projection
    elif adapter.replacements:
        raise CheckpointWeightsError(
            f"the adapter over {name} brings a {PROJECTION}, so it gives a vector a token. "
            f"Describe it with Checkpoint(pooling='multi_vector', ...)."
        )
    for target, update in adapter.updates.items():
        module = modules.get(target)
        if module is None or module.weight.shape != update.shape:
            found = "has none" if module is None else f"has one of {tuple(module.weight.shape)}"
            raise CheckpointWeightsError(
                f"the adapter does not fit its base {name}: it changes a weight {target} of "
                f"{tuple(update.shape)}, and the base {found}. Both must be of the same model."
            )
        module.weight.copy_(module.weight.float() + update)


def _read(
    kind: _Loose,
    folder: CheckpointFolder,
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
            folder.path,
            config=config,
            dtype=dtype,
            attn_implementation=attn_implementation,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # reported below, by name, instead of in a log
            output_loading_info=True,
            local_files_only=True,
        )
    model, report = loaded
    spare = NOT_NEEDED.union(not_needed)
    problems = {
        "missing": set(report["missing_keys"]) - spare,
        "unexpected": set(report["unexpected_keys"]) - spare,
        "of another shape": {key for key, *_ in report.get("mismatched_keys") or ()},
    }
    found = [f"{_some(keys)} {what}" for what, keys in problems.items() if keys]
    if found:
        raise CheckpointWeightsError(
            f"the weights of {folder.files.model} do not fit Qwen2-VL as its config.json says: "
            f"{'; '.join(found)}. The vectors would be noise. Download the checkpoint again, or "
            f"check that it was saved whole and un-adapted."
        )
    return model


def _some(keys: set[str]) -> str:
    shown = ", ".join(sorted(keys)[:_SHOWN])
    return shown if len(keys) <= _SHOWN else f"{shown} and {len(keys) - _SHOWN} more"


def _adapter(contents: CheckpointContents) -> Adapter | None:
    if not contents.is_adapter:
        return None
    own = contents.own
    return read_adapter(own.file(ADAPTER_CONFIG), own.file(ADAPTER_WEIGHTS), name=contents.name)


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
