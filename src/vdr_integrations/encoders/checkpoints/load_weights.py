"""Load a model and a tokenizer from a checkpoint's files."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from vdr_integrations.encoders.checkpoints.adapter import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    PROJECTION,
    read_adapter,
)
from vdr_integrations.encoders.checkpoints.contents import explained
from vdr_integrations.encoders.checkpoints.model_config import read_model_config
from vdr_integrations.encoders.checkpoints.tensor_files import read_tensors
from vdr_integrations.encoders.checkpoints.tokenizer_files import read_tokenizer
from vdr_integrations.encoders.forward.eight_bit_weights import pack
from vdr_integrations.encoders.forward.patch_embedding import BytePatchEmbedding
from vdr_integrations.encoders.forward.projection import TokenProjection
from vdr_integrations.encoders.preprocessing.pixel_normalisation import read_normalisation
from vdr_integrations.errors import CheckpointError, CheckpointWeightsError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from vdr_integrations.encoders.checkpoints.adapter import Adapter
    from vdr_integrations.encoders.checkpoints.contents import CheckpointContents
    from vdr_integrations.encoders.checkpoints.model_config import ModelConfig
    from vdr_integrations.encoders.forward.eight_bit_weights import Packing
    from vdr_integrations.encoders.forward.family import Family
    from vdr_integrations.encoders.forward.model_sizes import ModelSizes

__all__ = ["LoadedWeights", "load_weights", "stored_dtype"]

_Model = Any
"""A ``ModelTree``, or transformers' own model, whose types are too loose for a type checker."""


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class LoadedWeights:
    """A checkpoint in memory.

    Attributes:
        model: The backbone without its language-model head; its patch embedding reads bytes.
        family: Of the backbone.
        sizes: Of the backbone.
        projection: The projection to token vectors; None for a dense checkpoint.
        tokenizer: The tokenizer. It is shared, so nobody may change it.
        digest: Digest of everything in its files that decides vectors.
        in_use: Held while the model computes: one thread at a time.
    """

    model: _Model
    family: Family
    sizes: ModelSizes
    projection: TokenProjection | None
    tokenizer: Tokenizer
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
    keeps_leading: bool = False,
) -> LoadedWeights:
    """Load a checkpoint without remote code.

    Args:
        contents: The checkpoint's files: a whole model, an adapter and its base, or transformers'
            own ColQwen2.
        device: Device for the weights.
        dtype: Format of the weights.
        packing: Keep matrices in 8 bits. They are then read as bfloat16, the format in which they
            were published.
        attn_implementation: As in transformers. This package computes "sdpa" itself.
        token_dimension: Load the projection of a late-interaction checkpoint; it must have this
            many rows.
        keeps_leading: It may have more, of which the first are kept.

    Raises:
        CheckpointError: Files are missing or are those of another architecture.
        CheckpointWeightsError: Weights are missing, unexpected or of another shape.
    """
    base = contents.base
    with explained(contents.own.files):
        config = read_model_config(base, may_project=token_dimension is not None)
        tokenizer = read_tokenizer(contents.tokenizer)
        normalisation = read_normalisation(contents.tokenizer)
        adapter = _adapter(contents, config.family)
        read_as = torch.bfloat16 if packing else dtype
        with torch.device("meta"):
            backbone: _Model = config.family.tree(config.sizes)
        needed = {name: one.shape for name, one in backbone.named_parameters()}
        head = config.projection or PROJECTION
        names = {} if token_dimension is None else {p: f"{head}.{p}" for p in ("weight", "bias")}
        if config.projected is not None:
            rows, width = config.projected, config.sizes.decoder.hidden_size
            needed[names["weight"]] = torch.Size((rows, width))
            if not config.may_lack_bias:
                needed[names["bias"]] = torch.Size((rows,))
        tensors = read_tensors(
            base, needed, beside=names.values(), dtype=read_as, family=config.family.title
        )
        saved = {part: tensors.pop(name) for part, name in names.items() if name in tensors}
        projection = None
        if token_dimension is not None:
            projection = _projection(saved, adapter, config, name=base.files.model)
            if projection.dimension != token_dimension and not (
                keeps_leading and projection.dimension > token_dimension
            ):
                raise CheckpointError(
                    f"{contents.name} projects to {projection.dimension} components a token; its "
                    f"description says token_dimension={token_dimension}. Describe it with "
                    f"Checkpoint(token_dimension={projection.dimension}, ...); for fewer "
                    f"components, with keeps_leading=True too."
                )
        if attn_implementation == "sdpa":
            backbone.load_state_dict(tensors, assign=True)
        else:
            from vdr_integrations.encoders.checkpoints.stock_model import stock_model

            backbone = stock_model(
                base,
                tensors,
                family=config.family,
                dtype=read_as,
                attn_implementation=attn_implementation,
            )
        del tensors
        if adapter is not None:
            _apply(adapter, backbone, projection, name=base.files.model)
        if projection is not None and token_dimension is not None:
            projection = projection.leading(token_dimension)
    if packing:
        pack(backbone, packing)
        backbone.to(dtype)
    convolution = backbone.visual.patch_embed.proj
    backbone.visual.patch_embed = BytePatchEmbedding(
        convolution.weight, convolution.bias, mean=normalisation[0], std=normalisation[1]
    )
    return LoadedWeights(
        model=backbone.to(device).eval().requires_grad_(requires_grad=False),
        family=config.family,
        sizes=config.sizes,
        projection=None if projection is None else projection.to(device, dtype),
        tokenizer=tokenizer,
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
        config = read_model_config(contents.base, may_project=True)
    return torch.bfloat16 if config.is_bfloat16 else torch.float32


def _projection(
    saved: dict[str, torch.Tensor], adapter: Adapter | None, config: ModelConfig, *, name: str
) -> TokenProjection:
    tensors = saved | (adapter.replacements if adapter else {})
    if config.may_lack_bias and "weight" in tensors and "bias" not in tensors:
        tensors["bias"] = tensors["weight"].new_zeros(len(tensors["weight"]))
    missing = {"weight", "bias"} - set(tensors)
    if missing:
        raise CheckpointWeightsError(
            f"{name} has no {PROJECTION} ({', '.join(sorted(missing))} missing): it is not a "
            f"late-interaction checkpoint, or it is the base of an adapter: load the adapter "
            f"instead."
        )
    weight, bias = tensors["weight"], tensors["bias"]
    width = config.sizes.decoder.hidden_size
    if weight.dim() != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
        raise CheckpointWeightsError(
            f"{name} has a {PROJECTION} of the shapes {tuple(weight.shape)} and "
            f"{tuple(bias.shape)}; they must be (n, {width}) and (n,). Download the checkpoint "
            f"again."
        )
    return TokenProjection(weight, bias)


@torch.no_grad()
def _apply(
    adapter: Adapter, backbone: _Model, projection: TokenProjection | None, *, name: str
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


def _adapter(contents: CheckpointContents, family: Family) -> Adapter | None:
    if not contents.is_adapter:
        return None
    own = contents.own
    return read_adapter(
        own.file(ADAPTER_CONFIG), own.file(ADAPTER_WEIGHTS), family=family, name=contents.name
    )
