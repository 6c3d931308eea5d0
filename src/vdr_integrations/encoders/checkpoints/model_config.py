"""What a checkpoint's ``config.json`` says, checked, in all layouts that were published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vdr_integrations.encoders.forward.config_facts import ConfigFacts
from vdr_integrations.encoders.forward.known_families import FAMILIES, NOT_COMPUTED
from vdr_integrations.errors import CheckpointError

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFolder
    from vdr_integrations.encoders.forward.family import Family
    from vdr_integrations.encoders.forward.model_sizes import ModelSizes

__all__ = ["CONFIG", "ModelConfig", "parse_model_config", "read_model_config"]

CONFIG = "config.json"

_WITH_PROJECTION = {"colqwen2": "embedding_proj_layer"}
"""Model types with a model inside (``vlm_config``) and a projection of this name beside it:
transformers' own ColQwen2."""
_PROJECTED = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A checked configuration.

    Attributes:
        family: The family of the backbone.
        sizes: Of the backbone.
        projection: Name of the projection that is part of the model; None if there is none.
        projected: Components to which that projects; None without one.
        is_bfloat16: Whether the weights were published in bfloat16.
    """

    family: Family
    sizes: ModelSizes
    projection: str | None
    projected: int | None
    is_bfloat16: bool


def read_model_config(folder: CheckpointFolder, *, may_project: bool) -> ModelConfig:
    """Read and check the configuration of a model; an adapter's base has it.

    Args:
        folder: The checkpoint's folder.
        may_project: Whether a model with a projection to token vectors is allowed.

    Raises:
        CheckpointError: It is of another architecture, has a number that means nothing, or asks for
            something that this package does not compute.
    """
    return parse_model_config(
        folder.facts(CONFIG), name=folder.files.model, may_project=may_project
    )


def parse_model_config(facts: dict[str, Any], *, name: str, may_project: bool) -> ModelConfig:
    """Check the contents of a ``config.json``.

    Args:
        facts: The object in the file.
        name: Name of the checkpoint in error messages.
        may_project: As :func:`read_model_config`.

    Raises:
        CheckpointError: As :func:`read_model_config`.
    """
    whole = ConfigFacts(facts, f"{name}: {CONFIG}")
    model_type = whole.value("model_type")
    projection = _WITH_PROJECTION.get(model_type) if isinstance(model_type, str) else None
    if projection is not None and not may_project:
        raise CheckpointError(
            f"{name} is a {model_type!r} checkpoint, which gives one vector a token (late "
            f"interaction), and its description says one a page. Describe it with "
            f"Checkpoint(pooling='multi_vector', ...)."
        )
    whole.must_be("quantization_config", None)
    inner = whole if projection is None else whole.part("vlm_config")
    inner.must_be("quantization_config", None)
    # transformers' ColQwen2 is over Qwen2-VL unless it says something else.
    usual = None if projection is None else "qwen2_vl"
    family = _family(inner.value("model_type") or usual, name, may_project=may_project)
    # A configuration of 2024 has the decoder's facts at its top.
    text = inner if inner.value("text_config") is None else inner.part("text_config")
    return ModelConfig(
        family=family,
        sizes=family.read_sizes(inner.part("vision_config"), text),
        projection=projection,
        projected=None if projection is None else whole.count("embedding_dim", _PROJECTED),
        is_bfloat16=(facts.get("dtype") or facts.get("torch_dtype")) == "bfloat16",
    )


def _family(model_type: object, name: str, *, may_project: bool) -> Family:
    if isinstance(model_type, str) and model_type in FAMILIES:
        return FAMILIES[model_type]
    allowed = [*FAMILIES, *(_WITH_PROJECTION if may_project else ())]
    lacking = NOT_COMPUTED.get(model_type) if isinstance(model_type, str) else None
    why = f" This package does not compute {lacking}." if lacking else ""
    raise CheckpointError(
        f"{name} is a {model_type!r} checkpoint; it must be "
        f"{' or '.join(map(repr, sorted(allowed)))}.{why} Choose another checkpoint: `vdr models` "
        f"lists those that are known."
    )
