"""The options that load an encoder; they are checked before weights are loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import torch

from vdr_integrations.defaults import DEFAULT_DENSE_MODEL, DEFAULT_LATE_MODEL, DEFAULT_VISUAL_TOKENS
from vdr_integrations.encoders.checkpoints.contents import read_contents
from vdr_integrations.encoders.checkpoints.known_checkpoints import (
    BUNDLED,
    KNOWN_CHECKPOINTS,
    checkpoint_for,
)
from vdr_integrations.encoders.checkpoints.load_weights import stored_dtype
from vdr_integrations.encoders.elsewhere.several_devices import SeveralOptions
from vdr_integrations.encoders.runtime.device_and_dtype import choose_attention
from vdr_integrations.encoders.runtime.device_list import check_formats, choose_devices
from vdr_integrations.encoders.runtime.shared_model import ModelOptions, files_of
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from typing import Unpack

    from vdr_integrations.encoders.checkpoints.contents import CheckpointContents
    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.encoders.runtime.device_list import DeviceChoice

__all__ = [
    "KnownModelOptions",
    "LoadOptions",
    "ModelToLoad",
    "check_kind",
    "chosen_dimension",
    "model_to_load",
]


class KnownModelOptions(TypedDict, total=False):
    """Options of ``load_encoder`` that do not change which kind of encoder a known name gives."""

    revision: str | None
    device: DeviceChoice
    dtype: str | torch.dtype
    attn_implementation: str | None
    dimension: int | None
    truncate_dim: int | None
    max_visual_tokens: int
    batch_visual_tokens: int | None
    token: str | None
    cache_dir: str | None
    local_files_only: bool


class LoadOptions(KnownModelOptions, total=False):
    """All options of ``load_encoder``, described there."""

    checkpoint: Checkpoint | None


class ModelToLoad(NamedTuple):
    """Checked options and the files that they select; no weights are in memory yet."""

    origin: ModelOptions | SeveralOptions
    contents: CheckpointContents
    dimension: int | None
    max_visual_tokens: int
    batch_visual_tokens: int | None


def check_kind(checkpoint: Checkpoint, *, is_multi_vector: bool) -> None:
    """Refuse a checkpoint that gives the other kind of vectors, before any file is read.

    Args:
        checkpoint: Description of the checkpoint.
        is_multi_vector: Whether one vector a token is needed, not one a page.

    Raises:
        OptionError: The checkpoint gives the other kind.
    """
    if checkpoint.is_multi_vector and not is_multi_vector:
        raise OptionError(
            f"{checkpoint.model} gives one vector a token (late interaction), not one a page: "
            f"load it with MultiVectorEncoder.load, or use LateInteractionRetriever in LlamaIndex "
            f"and LangChain, or make an index with --late-interaction. For one vector a page, "
            f"choose a dense model such as {DEFAULT_DENSE_MODEL}."
        )
    if is_multi_vector and not checkpoint.is_multi_vector:
        raise OptionError(
            f"{checkpoint.model} gives one vector a page, and late interaction needs one a token: "
            f"load it with DenseEncoder.load, or use VDREmbedding in LlamaIndex and VDREmbeddings "
            f"in LangChain. For late interaction, choose a model that gives one vector a token, "
            f"such as {DEFAULT_LATE_MODEL}."
        )


def model_to_load(model: str, **given: Unpack[LoadOptions]) -> ModelToLoad:
    """Check the options of ``load_encoder`` and find the files; see there for what is raised."""
    dimension = chosen_dimension(given.get("dimension"), given.get("truncate_dim"))
    dtype = given.get("dtype", "auto")
    devices = choose_devices(given.get("device"))
    chosen_dtype, packing = check_formats(dtype, devices)
    known = checkpoint_for(model, described=given.get("checkpoint"))
    if packing is not None and _is_bundled(known):
        # It cancels its prompt to the last digit, so rounding lowers cosines of queries to 0.5.
        raise OptionError(
            f"dtype={dtype!r}: {known.model} does not work with weights of 8 bits, and has only "
            f"24 MB of weights; leave dtype out."
        )
    files = files_of(
        known.model,
        revision=given.get("revision"),
        token=given.get("token"),
        cache_dir=given.get("cache_dir"),
        local_files_only=given.get("local_files_only", False),
    )
    contents = read_contents(files)
    is_chosen_here = devices[0].type == "cpu" and (dtype == "auto" or packing is not None)
    if is_chosen_here and chosen_dtype is torch.bfloat16:
        chosen_dtype = stored_dtype(contents)
    (attention, *_) = [
        choose_attention(given.get("attn_implementation"), device=device, dtype=chosen_dtype)
        for device in devices
    ]
    one = ModelOptions(
        checkpoint=known,
        files=files,
        device=devices[0],
        dtype=chosen_dtype,
        packing=packing,
        attn_implementation=attention,
    )
    return ModelToLoad(
        origin=one if len(devices) == 1 else SeveralOptions(one=one, devices=devices),
        contents=contents,
        dimension=dimension,
        max_visual_tokens=given.get("max_visual_tokens", DEFAULT_VISUAL_TOKENS),
        batch_visual_tokens=given.get("batch_visual_tokens"),
    )


def chosen_dimension(dimension: int | None, truncate_dim: int | None) -> int | None:
    """The dimension, by either of its two names.

    Raises:
        OptionError: They differ.
    """
    if dimension is None:
        return truncate_dim
    if truncate_dim is not None and truncate_dim != dimension:
        raise OptionError(
            f"dimension={dimension} and truncate_dim={truncate_dim} are two names of one option; "
            f"give one of them."
        )
    return dimension


def _is_bundled(known: Checkpoint) -> bool:
    """Whether it is a bundled checkpoint, under its name or in another folder."""
    return any(replace(known, model=name) == KNOWN_CHECKPOINTS[name] for name in BUNDLED)
