"""A checkpoint's tensors, from safetensors files to the names of today."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from safetensors import safe_open

from vdr_integrations.encoders.checkpoints.adapter import some_names
from vdr_integrations.encoders.checkpoints.contents import NOT_NEEDED
from vdr_integrations.errors import CheckpointWeightsError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import torch

    from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFolder

__all__ = ["read_tensors"]


# The backbone of 2024 (visual, model.layers), that of today (model.visual, model.language_model),
# the backbone saved alone (visual, language_model), and transformers' ColQwen2 before each (vlm.).
_BACKBONE = re.compile(
    r"(?:vlm\.)?(?:model\.)?(?:"
    r"(?P<vision>visual\..+)|"
    r"(?:language_model\.)?(?:model\.)?(?P<language>(?:embed_tokens|layers|norm)\..+))"
)
_COMPUTED = re.compile(r".*rotary_emb\.inv_freq")
"""Frequencies that old versions saved; they follow from the configuration."""


def read_tensors(
    folder: CheckpointFolder,
    needed: Mapping[str, torch.Size],
    *,
    beside: Collection[str] = (),
    dtype: torch.dtype,
    family: str,
) -> dict[str, torch.Tensor]:
    """Read the tensors that a model needs, and refuse files that have other ones.

    No tensor is in memory twice, except for the one that is being converted.

    Args:
        folder: The checkpoint's folder.
        needed: Shapes by name: of a ``ModelTree``, and of a projection that is part of a model.
        beside: Names of a projection that is saved beside a model. It may be missing, has any
            shape, and keeps its format.
        dtype: Format of the others.
        family: Name of the model's family in error messages.

    Raises:
        CheckpointWeightsError: Weights are missing, unexpected, of another shape, under two names,
            or no numbers with a fraction.
        OSError: A file cannot be read.
    """
    found: dict[str, torch.Tensor] = {}
    troubles = _Troubles()
    for path in folder.weights():
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118  # not a mapping
                if key in NOT_NEEDED or _COMPUTED.fullmatch(key):
                    continue
                name = _name_of(key)
                shape = needed.get(name)
                if shape is None and name not in beside:
                    troubles.unexpected.append(key)
                    continue
                if name in found:
                    troubles.doubled.append(key)
                    continue
                tensor = file.get_tensor(key)
                if shape is not None and tensor.shape != shape:
                    troubles.other_shape.append(key)
                elif not tensor.is_floating_point():
                    troubles.no_fractions.append(key)
                found[name] = tensor if shape is None else tensor.to(dtype)
    troubles.missing.extend(name for name in needed if name not in found)
    troubles.refuse(folder.files.model, family)
    return found


def _name_of(key: str) -> str:
    """The name in a ``ModelTree`` of a tensor of the backbone; any other name as it is."""
    parts = _BACKBONE.fullmatch(key)
    if parts is None:
        return key
    return parts["vision"] or f"language_model.{parts['language']}"


@dataclass(slots=True)
class _Troubles:
    """Names of tensors that do not fit, as in the files."""

    missing: list[str] = field(default_factory=list[str])
    unexpected: list[str] = field(default_factory=list[str])
    other_shape: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])
    no_fractions: list[str] = field(default_factory=list[str])

    def refuse(self, model: str, family: str) -> None:
        kinds = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": self.other_shape,
            "there under two names": self.doubled,
            "of whole numbers": self.no_fractions,
        }
        found = [f"{some_names(names)} {what}" for what, names in kinds.items() if names]
        if found:
            raise CheckpointWeightsError(
                f"the weights of {model} do not fit the {family} model of its config.json: "
                f"{'; '.join(found)}. The vectors would be noise. Download the checkpoint again, "
                f"or check that it was saved whole and without an adapter."
            )
