"""What a checkpoint's ``config.json`` says, checked, in all layouts that were published."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from vdr_integrations.encoders.forward.model_sizes import DecoderSizes, ModelSizes, VisionSizes
from vdr_integrations.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Collection

    from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFolder

__all__ = [
    "COLQWEN2",
    "CONFIG",
    "QWEN2_VL",
    "ModelConfig",
    "parse_model_config",
    "read_model_config",
]

CONFIG = "config.json"
QWEN2_VL = "qwen2_vl"
COLQWEN2 = "colqwen2"
"""transformers' own ColQwen2: a Qwen2-VL model inside, and a projection beside it."""

# What transformers assumes where a configuration says nothing.
_VISION = {
    "depth": 32,
    "embed_dim": 1280,
    "hidden_size": 3584,
    "mlp_ratio": 4,
    "num_heads": 16,
    "in_channels": 3,
    "patch_size": 14,
    "temporal_patch_size": 2,
    "spatial_merge_size": 2,
}
_TEXT = {
    "vocab_size": 152064,
    "hidden_size": 8192,
    "intermediate_size": 29568,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-5,
}
_ROPE_THETA = 1_000_000.0
_MROPE_SECTION = (16, 24, 24)
_PROJECTED = 128

_MOST = defaultdict(lambda: 2**31 - 1, depth=1000, num_hidden_layers=1000)
"""Largest numbers. Each layer is made before its weights are read, so more would take for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A checked configuration.

    Attributes:
        model_type: ``QWEN2_VL`` or ``COLQWEN2``.
        sizes: Of the backbone.
        projected: Components to which a ``COLQWEN2`` checkpoint projects; None for any other.
        is_bfloat16: Whether the weights were published in bfloat16.
    """

    model_type: str
    sizes: ModelSizes
    projected: int | None
    is_bfloat16: bool


def read_model_config(folder: CheckpointFolder, *, allowed: Collection[str]) -> ModelConfig:
    """Read and check the configuration of a model; an adapter's base has it.

    Args:
        folder: The checkpoint's folder.
        allowed: Model types that the caller can use.

    Raises:
        CheckpointError: It is of another architecture, has a number that means nothing, or asks for
            something that this package does not compute.
    """
    return parse_model_config(folder.facts(CONFIG), name=folder.files.model, allowed=allowed)


def parse_model_config(
    facts: dict[str, Any], *, name: str, allowed: Collection[str]
) -> ModelConfig:
    """Check the contents of a ``config.json``.

    Args:
        facts: The object in the file.
        name: Name of the checkpoint in error messages.
        allowed: As :func:`read_model_config`.

    Raises:
        CheckpointError: As :func:`read_model_config`.
    """
    model_type = facts.get("model_type")
    if not isinstance(model_type, str) or model_type not in allowed:
        raise CheckpointError(
            f"{name} is a {model_type!r} checkpoint; it must be "
            f"{' or '.join(map(repr, sorted(allowed)))}."
        )
    whole = _Facts(facts, f"{name}: {CONFIG}")
    whole.must_be("quantization_config", None)
    inner = whole.part("vlm_config") if model_type == COLQWEN2 else whole
    inner.must_be("quantization_config", None)
    # A configuration of 2024 has the decoder's facts at its top.
    text = inner if inner.value("text_config") is None else inner.part("text_config")
    vision = inner.part("vision_config")
    decoder = _decoder(text)
    return ModelConfig(
        model_type=model_type,
        sizes=ModelSizes(vision=_vision(vision, decoder.hidden_size), decoder=decoder),
        projected=whole.count("embedding_dim", _PROJECTED) if model_type == COLQWEN2 else None,
        is_bfloat16=(facts.get("dtype") or facts.get("torch_dtype")) == "bfloat16",
    )


def _vision(facts: _Facts, width: int) -> VisionSizes:
    facts.must_be("hidden_act", "quick_gelu")
    facts.must_be("in_channels", 3)
    counts = {name: facts.count(name, usual) for name, usual in _VISION.items()}
    out, ratio = counts.pop("hidden_size"), counts.pop("mlp_ratio")
    if out != width:
        facts.refuse("hidden_size", out, f"{width}, as in the decoder")
    heads = counts["num_heads"]
    if counts["embed_dim"] % (4 * heads):
        facts.refuse("embed_dim", counts["embed_dim"], f"a multiple of four times {heads} heads")
    return VisionSizes(mlp_width=ratio * counts["embed_dim"], **counts)


def _decoder(facts: _Facts) -> DecoderSizes:
    facts.must_be("hidden_act", "silu")
    facts.must_be("use_sliding_window", False, None)
    width = facts.count("hidden_size", _TEXT["hidden_size"])
    heads = facts.count("num_attention_heads", _TEXT["num_attention_heads"])
    # Without a number of their own, there are as many keys as queries.
    name = "num_key_value_heads"
    is_null = facts.knows(name) and facts.value(name) is None
    known = heads if is_null else facts.count(name, _TEXT[name])
    if width % (2 * heads):
        facts.refuse("hidden_size", width, f"a multiple of twice {heads} heads")
    if heads % known:
        facts.refuse(name, known, f"a divisor of {heads} heads")
    facts.must_be("head_dim", width // heads, None)
    older = facts.part("rope_scaling")
    rope = older if older.facts else facts.part("rope_parameters")
    rope.must_be("rope_type" if rope.knows("rope_type") else "type", "default", "mrope")
    return DecoderSizes(
        vocab_size=facts.count("vocab_size", _TEXT["vocab_size"]),
        hidden_size=width,
        mlp_width=facts.count("intermediate_size", _TEXT["intermediate_size"]),
        num_layers=facts.count("num_hidden_layers", _TEXT["num_hidden_layers"]),
        num_heads=heads,
        num_key_value_heads=known,
        norm_epsilon=facts.positive("rms_norm_eps", _TEXT["rms_norm_eps"]),
        rope_theta=rope.positive("rope_theta", facts.positive("rope_theta", _ROPE_THETA)),
        mrope_section=rope.sections("mrope_section", width // heads // 2),
        max_tokens=facts.count("max_position_embeddings", _TEXT["max_position_embeddings"]),
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    """An object of the configuration, and how to name it in an error."""

    facts: dict[str, Any]
    where: str

    def knows(self, name: str) -> bool:
        return name in self.facts

    def value(self, name: str) -> object:
        return self.facts.get(name)

    def part(self, name: str) -> _Facts:
        """An object inside; empty if there is none."""
        found: Any = {} if self.facts.get(name) is None else self.facts[name]
        if not isinstance(found, dict):
            self.refuse(name, found, "an object")
        return _Facts(found, f"{self.where}, {name}")

    def must_be(self, name: str, *allowed: object) -> None:
        if self.knows(name) and self.facts[name] not in allowed:
            only = " or ".join(repr(one) for one in allowed if one is not None) or "left out"
            self.refuse(name, self.facts[name], only)

    def count(self, name: str, usual: float) -> int:
        found = self.facts.get(name, usual)
        if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= _MOST[name]:
            self.refuse(name, found, f"a whole number from 1 to {_MOST[name]}")
        return found

    def positive(self, name: str, usual: float) -> float:
        found = self.facts.get(name, usual)
        if not isinstance(found, int | float) or isinstance(found, bool):
            self.refuse(name, found, "a number")
        if not (math.isfinite(found) and found > 0):
            self.refuse(name, found, "a finite number above 0")
        return float(found)

    def sections(self, name: str, total: int) -> tuple[int, ...]:
        found = self.facts.get(name, _MROPE_SECTION)
        if (
            not isinstance(found, list | tuple)
            or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in found)
            or sum(found) != total
        ):
            self.refuse(name, found, f"whole numbers whose sum is {total}")
        return tuple(found)

    def refuse(self, name: str, found: object, allowed: str) -> NoReturn:
        raise CheckpointError(
            f"{self.where} has {name}={found!r}; it must be {allowed}. Download the checkpoint "
            f"again, or choose another one."
        )
