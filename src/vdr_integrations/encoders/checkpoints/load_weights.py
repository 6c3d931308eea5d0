"""Load a model and a tokenizer from a checkpoint; the only place with ``from_pretrained``."""

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
"""transformers' types of models and configurations are too loose to help a type checker."""

_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class LoadedWeights:
    """A checkpoint in memory.

    Attributes:
        model: The backbone without its language-model head; its patch embedding reads bytes.
        projection: The projection to token vectors; None for a dense checkpoint.
        tokenizer: The core of the fast tokenizer.
        max_tokens: Number of positions that the checkpoint supports.
        digest: Digest of everything in its files that decides vectors.
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
        contents: The checkpoint's files: a whole model, an adapter and its base, or transformers'
            own ColQwen2.
        device: Device for the weights.
        dtype: Format of the weights.
        packing: Keep matrices in 8 bits. They are then read as bfloat16, the format in which they
            were published.
        attn_implementation: As in transformers.
        token_dimension: Load the projection of a late-interaction checkpoint; it must have this
            many rows.

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
                f"{base.files.model} is a {config.model_type!r} checkpoint; it must be "
                f"{' or '.join(map(repr, sorted(allowed)))}."
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
    """The format of a checkpoint's weights by its configuration; for an adapter, by its base's.

    Returns:
        bfloat16, or float32 for every other format, as none of them is faster on a CPU.

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
            f"is not a late-interaction checkpoint, or it is the base of an adapter: load the "
            f"adapter instead."
        )
    return backbone, TokenProjection(tensors["weight"], tensors["bias"])


def _tensors(folder: CheckpointFolder, names: dict[str, str]) -> dict[str, torch.Tensor]:
    """Read single tensors of a checkpoint; names that it does not have are left out."""
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
            f"the adapter of {name} has a {PROJECTION}, so it gives one vector a token. "
            f"Describe it with Checkpoint(pooling='multi_vector', ...)."
        )
    for target, update in adapter.updates.items():
        module = modules.get(target)
        if module is None or module.weight.shape != update.shape:
            found = "no such weight" if module is None else f"{tuple(module.weight.shape)}"
            raise CheckpointWeightsError(
                f"the adapter does not fit its base {name}: it changes a weight {target} of "
                f"{tuple(update.shape)}, and the base has {found}. Both must be of the same model."
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
    # The class with the head reads every layout in which Qwen2-VL was ever saved. The head itself
    # is dropped (0.37 TFLOP and 241 MB of logits a page).
    with _quiet_loading():
        loaded: _Loose = kind.from_pretrained(
            folder.path,
            config=config,
            dtype=dtype,
            attn_implementation=attn_implementation,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # reported below by name, not in a log
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
            f"the weights of {folder.files.model} do not fit the Qwen2-VL model of its "
            f"config.json: {'; '.join(found)}. The vectors would be noise. Download the checkpoint "
            f"again, or check that it was saved whole and without an adapter."
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
    # Problems in the report are raised as an error, so it is not printed too. Downloads have their
    # own progress bars (HF_HUB_DISABLE_PROGRESS_BARS).
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
