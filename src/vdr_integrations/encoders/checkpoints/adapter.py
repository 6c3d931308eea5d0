"""Low-rank adapters in PEFT's format, read from safetensors to be merged into the base."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from safetensors.torch import load_file

from vdr_integrations.encoders.checkpoints.adapter_config import (
    PROJECTION,
    AdapterConfig,
    read_adapter_config,
)
from vdr_integrations.errors import CheckpointWeightsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import torch

    from vdr_integrations.encoders.forward.family import Family

__all__ = [
    "ADAPTER_CONFIG",
    "ADAPTER_WEIGHTS",
    "PROJECTION",
    "Adapter",
    "read_adapter",
    "some_names",
]

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_SIDES = frozenset({"lora_A", "lora_B"})
_SAVED_WHOLE = frozenset({"weight", "bias"})
_MATRIX_AXES = 2
_SHOWN = 6

# Names of 2024 (model.layers, visual), current names (model.language_model.layers, model.visual),
# and the prefix of transformers' ColQwen2 before either (vlm.).
_LANGUAGE = re.compile(
    r"(?:vlm\.)?(?:model\.)?(?:language_model\.)?"
    r"(layers\.\d+\.(?:self_attn\.[qkvo]_proj|mlp\.(?:gate|up|down)_proj))"
)
_VISION = re.compile(r"(?:vlm\.)?(?:model\.)?visual\.(.+)")


@dataclass(slots=True)
class Adapter:
    """Changes to the weights of a base model.

    Attributes:
        config: The base, ranks and scales.
        updates: The scaled product of the low-rank pair of each module, which is added to the
            module's weight. Modules are ``language_model.layers.<n>.self_attn.q_proj``,
            ``visual.blocks.<n>.attn.qkv`` and so on, or ``PROJECTION``.
        replacements: Parameters of the projection that were trained whole, by name; they replace
            those of the base.
    """

    config: AdapterConfig
    updates: dict[str, torch.Tensor] = field(default_factory=dict[str, "torch.Tensor"])
    replacements: dict[str, torch.Tensor] = field(default_factory=dict[str, "torch.Tensor"])


def read_adapter(config_file: Path, weights_file: Path, *, family: Family, name: str) -> Adapter:
    """Read an adapter; no code is run and no pickle is read.

    Args:
        config_file: ``adapter_config.json``.
        weights_file: ``adapter_model.safetensors``.
        family: Of the base.
        name: Name of the checkpoint in error messages.

    Raises:
        CheckpointError: The kind of adapter is not supported, or the file does not name its base.
        CheckpointWeightsError: The file has weights of modules that no model of the family has,
            half a pair, two pairs for one module, a pair whose rank differs from the
            configuration, or no weights at all.
    """
    adapter = Adapter(read_adapter_config(config_file, name=name))
    refuse = _Refusal(name, family.title)
    tensors = load_file(weights_file)
    pairs: dict[str, dict[str, torch.Tensor]] = {}
    whole: dict[str, str] = {}
    unknown: list[str] = []
    for key, tensor in tensors.items():
        path = key.removeprefix(_PREFIX).replace(".modules_to_save.", ".")
        module, _, last = path.rpartition(".")
        owner, _, side = module.rpartition(".")
        if side in _SIDES and last == "weight" and _target(owner, family):
            pairs.setdefault(owner, {})[side] = tensor
        elif module == PROJECTION and last in _SAVED_WHOLE:
            refuse.doubled([last] if last in whole else [])
            whole[last] = key
        else:
            unknown.append(key)
    refuse.strangers([*unknown, *(owner for owner, pair in pairs.items() if len(pair) != 2)])
    targets = [str(_target(owner, family)) for owner in pairs]
    replaced = [PROJECTION] if whole else []
    refuse.doubled(one for one, n in Counter([*targets, *replaced]).items() if n > 1)
    lost = _SAVED_WHOLE.difference(whole)
    if lost and (whole or adapter.config.saves_projection):
        refuse.half_saved(lost)
    if not tensors:
        refuse.nothing()
    adapter.replacements = {part: tensors[key] for part, key in whole.items()}
    for target, (owner, pair) in zip(targets, pairs.items(), strict=True):
        low, high, rank = pair["lora_A"], pair["lora_B"], adapter.config.rank_of(owner)
        if not low.dim() == high.dim() == _MATRIX_AXES or not len(low) == high.shape[1] == rank:
            refuse.other_rank(owner, low, high, rank)
        adapter.updates[target] = (high.float() @ low.float()) * adapter.config.scale_of(owner)
    return adapter


def _target(owner: str, family: Family) -> str | None:
    """The module of the backbone, or the projection, that the adapter calls ``owner``."""
    if owner == PROJECTION:
        return PROJECTION
    if found := _LANGUAGE.fullmatch(owner):
        return f"language_model.{found[1]}"
    found = _VISION.fullmatch(owner)
    return f"visual.{found[1]}" if found and family.adapted.fullmatch(found[1]) else None


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Errors about the weights of an adapter."""

    name: str
    family: str

    def strangers(self, keys: list[str]) -> None:
        if keys:
            raise CheckpointWeightsError(
                f"{self.name}: {len(keys)} weights of the adapter belong to no layer of a "
                f"{self.family} retriever, or the other half of their pair is missing "
                f"({some_names(keys)}). The vectors would be wrong. Download the checkpoint "
                f"again, or merge it with peft."
            )

    def doubled(self, targets: Iterable[str]) -> None:
        if found := list(targets):
            raise CheckpointWeightsError(
                f"{self.name}: the adapter has weights for {some_names(found)} under two names; "
                f"it is not known which of them are right. Save the adapter again with peft."
            )

    def half_saved(self, parts: Iterable[str]) -> None:
        raise CheckpointWeightsError(
            f"{self.name}: the adapter has a {PROJECTION} of its own, but its "
            f"{' and '.join(sorted(parts))} is missing. Download the checkpoint again, or save "
            f"the adapter again with peft."
        )

    def nothing(self) -> None:
        raise CheckpointWeightsError(
            f"{self.name}: the adapter's file has no weights; it would change nothing. Download "
            f"the checkpoint again, or save the adapter again with peft."
        )

    def other_rank(self, owner: str, low: torch.Tensor, high: torch.Tensor, rank: int) -> None:
        raise CheckpointWeightsError(
            f"{self.name}: the adapter's pair for {owner} has the shapes {tuple(low.shape)} and "
            f"{tuple(high.shape)}; its configuration says rank {rank} (r, rank_pattern), which "
            f"decides the scale too. Download the checkpoint again, or save it again with peft."
        )


def some_names(names: Sequence[str]) -> str:
    """The first names for a message, sorted, and how many more there are."""
    shown = ", ".join(sorted(names)[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
