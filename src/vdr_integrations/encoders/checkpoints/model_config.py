"""What a checkpoint's ``config.json`` says, checked, in all layouts that were published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vdr_integrations.encoders.checkpoints.refused_models import why_refused
from vdr_integrations.encoders.forward.config_facts import ConfigFacts
from vdr_integrations.encoders.forward.known_families import FAMILIES
from vdr_integrations.errors import CheckpointError

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFolder
    from vdr_integrations.encoders.forward.family import Family
    from vdr_integrations.encoders.forward.model_sizes import ModelSizes

__all__ = ["CONFIG", "ModelConfig", "parse_model_config", "read_model_config"]

CONFIG = "config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _LateType:
    """A model type that is a model of a family with a projection to token vectors.

    Attributes:
        family: Its family, if the model inside says nothing.
        inside: Name of the part with the model's facts; None if they stand beside the others.
        projection: Name of the projection in the files.
        size: Name of the number of components to which it projects.
        usual_size: Where a configuration says nothing.
        may_lack_bias: See ``ModelConfig``.
    """

    family: str
    inside: str | None
    projection: str
    size: str
    usual_size: int
    may_lack_bias: bool = False


_LATE_TYPES = {
    # transformers' own ColQwen2, over a model of any family
    "colqwen2": _LateType(
        family="qwen2_vl",
        inside="vlm_config",
        projection="embedding_proj_layer",
        size="embedding_dim",
        usual_size=128,
    ),
    # TomoroAI's, whose own code is not needed
    "colqwen3": _LateType(
        family="qwen3_vl",
        inside=None,
        projection="embedding_proj_layer",
        size="embed_dim",
        usual_size=320,
        may_lack_bias=True,
    ),
}

_OTHER_NAMES = {"ops_colqwen3": "qwen3_vl"}
"""Model types that are a family's under another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A checked configuration.

    Attributes:
        family: The family of the backbone.
        sizes: Of the backbone.
        projection: Name of the projection that is part of the model; None if there is none.
        projected: Components to which that projects; None without one.
        may_lack_bias: Whether that projection may be saved without a bias, which is then zero.
        is_bfloat16: Whether the weights were published in bfloat16.
    """

    family: Family
    sizes: ModelSizes
    projection: str | None
    projected: int | None
    may_lack_bias: bool
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
    late = _LATE_TYPES.get(model_type) if isinstance(model_type, str) else None
    if late is not None and not may_project:
        raise CheckpointError(
            f"{name} is a {model_type!r} checkpoint, which gives one vector a token (late "
            f"interaction), and its description says one a page. Describe it with "
            f"Checkpoint(pooling='multi_vector', ...)."
        )
    whole.must_be("quantization_config", None)
    inner, found = whole, model_type
    if late is not None:
        inner = whole if late.inside is None else whole.part(late.inside)
        found = (late.inside and inner.value("model_type")) or late.family
    inner.must_be("quantization_config", None)
    family = _family(found, name, may_project=may_project)
    _refuse_other_vectors(whole.value("architectures"), name)
    # A configuration of 2024 has the decoder's facts at its top.
    text = inner if inner.value("text_config") is None else inner.part("text_config")
    for part in (whole, inner, text):
        part.must_be("is_causal", True, None)
    return ModelConfig(
        family=family,
        sizes=family.read_sizes(inner.part("vision_config"), text),
        projection=None if late is None else late.projection,
        projected=None if late is None else whole.count(late.size, late.usual_size),
        may_lack_bias=late is not None and late.may_lack_bias,
        is_bfloat16=(facts.get("dtype") or facts.get("torch_dtype")) == "bfloat16",
    )


def _family(model_type: object, name: str, *, may_project: bool) -> Family:
    known = _OTHER_NAMES.get(model_type, model_type) if isinstance(model_type, str) else None
    if known in FAMILIES:
        return FAMILIES[known]
    allowed = [*FAMILIES, *(_LATE_TYPES if may_project else ())]
    lacking = why_refused(model_type)
    why = f" This package does not compute {lacking}." if lacking else ""
    raise CheckpointError(
        f"{name} is a {model_type!r} checkpoint; it must be "
        f"{' or '.join(map(repr, sorted(allowed)))}.{why} Choose another checkpoint: `vdr models` "
        f"lists those that are known."
    )


def _refuse_other_vectors(architectures: object, name: str) -> None:
    for one in architectures if isinstance(architectures, list) else ():
        if lacking := why_refused(one):
            raise CheckpointError(
                f"{name} is a checkpoint of {one}. This package does not compute {lacking}. Choose "
                f"another checkpoint: `vdr models` lists those that are known."
            )
