"""Low-rank adapters in PEFT's format: read from safetensors, added to the weights they adapt."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from safetensors.torch import load_file

from vdr_integrations.errors import CheckpointError, CheckpointWeightsError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = [
    "ADAPTER_CONFIG",
    "ADAPTER_WEIGHTS",
    "PROJECTION",
    "Adapter",
    "read_adapter",
    "read_base",
]

PROJECTION = "custom_text_proj"
"""colpali-engine's name of the projection to token vectors."""

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_BASE = "base_model_name_or_path"
_UNSUPPORTED = {"use_dora": False, "fan_in_fan_out": False, "bias": "none"}
_LAYER = re.compile(r"(?:^|\.)layers\.(\d+\.(?:self_attn|mlp)\.\w+)$")
_PREFIX = "base_model.model."
_SHOWN = 6


@dataclass(slots=True)
class Adapter:
    """What is added to, or put in place of, weights of the base model.

    Attributes:
        folder: Where the adapter lies.
        base: Hub id or folder of the base checkpoint, as the adapter names it.
        base_revision: Its revision, None for the default one.
        updates: By module: the product of the low-rank pair, scaled; added to the module's
            weight. Modules are ``layers.<n>.self_attn.q_proj`` and so on, or ``PROJECTION``.
        replacements: By parameter of the projection: tensors that were trained whole.
    """

    folder: Path
    base: str
    base_revision: str | None
    deciding_facts: dict[str, Any] = field(default_factory=dict[str, "Any"])
    updates: dict[str, torch.Tensor] = field(default_factory=dict[str, "torch.Tensor"])
    replacements: dict[str, torch.Tensor] = field(default_factory=dict[str, "torch.Tensor"])


def read_base(config_file: Path, *, name: str) -> Adapter:
    """An adapter without its weights: what it is an adapter of, from ``adapter_config.json``.

    Args:
        config_file: ``adapter_config.json``.
        name: What errors call the checkpoint.

    Raises:
        CheckpointError: A file that does not say it.
    """
    return _unweighed(_facts(config_file, name), config_file.parent)


def _unweighed(facts: dict[str, Any], folder: Path) -> Adapter:
    return Adapter(
        folder=folder,
        base=facts[_BASE],
        base_revision=facts.get("revision"),
        deciding_facts={k: facts.get(k) for k in ("r", "lora_alpha", "use_rslora")},
    )


def _facts(config_file: Path, name: str) -> dict[str, Any]:
    try:
        facts: Any = json.loads(config_file.read_text(encoding="utf-8"))
        found = f"holds a {type(facts).__name__} in place of an object"
    except ValueError as error:
        facts, found = None, f"is no JSON ({error})"
    if isinstance(facts, dict):
        known = cast("dict[str, Any]", facts)
        base = known.get(_BASE)
        if base and isinstance(base, str):
            return known
        found = f"has {_BASE}={base!r}, which must name a checkpoint or its folder"
    raise CheckpointError(
        f"{name} is an adapter whose {config_file.name} {found}. Download the checkpoint again, "
        f"or save the adapter again with peft."
    )


def read_adapter(config_file: Path, weights_file: Path, *, name: str) -> Adapter:
    """Read an adapter; nothing is run and no pickle is read.

    Args:
        config_file: ``adapter_config.json``.
        weights_file: ``adapter_model.safetensors``.
        name: What errors call the checkpoint.

    Raises:
        CheckpointError: A kind of adapter that is not understood, or a file that does not say what
            it is an adapter of.
        CheckpointWeightsError: Weights of modules that no Qwen2-VL retriever has, or half a pair.
    """
    facts = _facts(config_file, name)
    wrong = [
        f"{key}={facts[key]!r}" for key, ok in _UNSUPPORTED.items() if facts.get(key, ok) != ok
    ]
    if wrong or str(facts.get("peft_type", "LORA")).upper() != "LORA":
        raise CheckpointError(
            f"{name} is an adapter with {', '.join(wrong) or facts.get('peft_type')}; only plain "
            f"LoRA is understood. Merge it with peft and load the merged folder."
        )
    adapter = _unweighed(facts, config_file.parent)
    pairs: dict[str, dict[str, torch.Tensor]] = {}
    unknown: list[str] = []
    for key, tensor in load_file(weights_file).items():
        path = key.removeprefix(_PREFIX).replace(".modules_to_save.", ".")
        module, _, last = path.rpartition(".")
        owner, _, side = module.rpartition(".")
        if side in {"lora_A", "lora_B"} and last == "weight" and (target := _target(owner)):
            pairs.setdefault(target, {})[side] = tensor
        elif module == PROJECTION and last in {"weight", "bias"}:
            adapter.replacements[last] = tensor
        else:
            unknown.append(key)
    unknown += [target for target, pair in pairs.items() if len(pair) != 2]
    if unknown:
        raise CheckpointWeightsError(
            f"{name}: {len(unknown)} weights of the adapter belong to no layer of a Qwen2-VL "
            f"retriever or lack their other half ({', '.join(sorted(unknown)[:_SHOWN])}). The "
            f"vectors would be wrong. Download the checkpoint again, or merge it with peft."
        )
    for target, pair in pairs.items():
        product = pair["lora_B"].float() @ pair["lora_A"].float()
        adapter.updates[target] = product * _scale(facts, rank=len(pair["lora_A"]))
    return adapter


def _target(owner: str) -> str | None:
    if owner == PROJECTION:
        return PROJECTION
    found = _LAYER.search(owner)
    return f"layers.{found[1]}" if found and "visual" not in owner else None


def _scale(facts: dict[str, Any], *, rank: int) -> float:
    alpha = float(facts.get("lora_alpha", rank))
    return alpha / (math.sqrt(rank) if facts.get("use_rslora") else rank)
