"""The real configurations of the models that known checkpoints were trained from.

``config.json`` as published, reduced to the numbers that decide how a model computes. They were
read from copies: the hub itself was out of reach. Counts of parameters that others published are
the check (``tests/encoders/checkpoints/test_published_models.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks import full_size
from vdr_integrations.encoders.checkpoints.model_config import parse_model_config

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoints.model_config import ModelConfig

__all__ = ["TEXT", "VISION", "full_size_config", "model_config"]

_M_ROPE = {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [16, 24, 24]}
_INTERLEAVED = {
    "rope_type": "default",
    "rope_theta": 5_000_000.0,
    "mrope_section": [24, 20, 20],
    "mrope_interleaved": True,
}
_LARGE_QWEN2 = {
    "vocab_size": 152064,
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-6,
    "rope_parameters": _M_ROPE,
}


def _qwen3_text(width: int, mlp_width: int, layers: int, heads: int) -> dict[str, Any]:
    return {
        "vocab_size": 151936,
        "hidden_size": width,
        "intermediate_size": mlp_width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "attention_bias": False,
        "max_position_embeddings": 262144,
        "rms_norm_eps": 1e-6,
        "rope_parameters": _INTERLEAVED,
    }


def _qwen2_5_vision(width: int) -> dict[str, Any]:
    return {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "out_hidden_size": width,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
    }


def _qwen3_vision(
    width: int,
    *,
    depth: int = 24,
    hidden_size: int = 1024,
    mlp_width: int = 4096,
    deepstack: tuple[int, ...] = (5, 11, 17),
) -> dict[str, Any]:
    return {
        "depth": depth,
        "hidden_size": hidden_size,
        "intermediate_size": mlp_width,
        "num_heads": 16,
        "patch_size": 16,
        "out_hidden_size": width,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": list(deepstack),
    }


TEXT: dict[str, dict[str, Any]] = {
    "Qwen2-VL-2B": full_size.TEXT,
    "Qwen2-VL-7B": {**_LARGE_QWEN2, "max_position_embeddings": 32768},
    "Qwen2.5-VL-3B": {
        "vocab_size": 151936,
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": _M_ROPE,
    },
    "Qwen2.5-VL-7B": {**_LARGE_QWEN2, "max_position_embeddings": 128000},
    "Qwen3-VL-2B": _qwen3_text(2048, 6144, layers=28, heads=16),
    "Qwen3-VL-4B": _qwen3_text(2560, 9728, layers=36, heads=32),
    "Qwen3-VL-8B": _qwen3_text(4096, 12288, layers=36, heads=32),
}
"""``text_config`` by the name of the model."""

VISION: dict[str, dict[str, Any]] = {
    "Qwen2-VL-2B": full_size.VISION,
    "Qwen2-VL-7B": {**full_size.VISION, "hidden_size": 3584},
    "Qwen2.5-VL-3B": _qwen2_5_vision(2048),
    "Qwen2.5-VL-7B": _qwen2_5_vision(3584),
    "Qwen3-VL-2B": _qwen3_vision(2048),
    "Qwen3-VL-4B": _qwen3_vision(2560),
    "Qwen3-VL-8B": _qwen3_vision(
        4096, depth=27, hidden_size=1152, mlp_width=4304, deepstack=(8, 16, 24)
    ),
}
"""``vision_config`` by the name of the model."""

_MODEL_TYPES = {"Qwen2-VL": "qwen2_vl", "Qwen2.5-VL": "qwen2_5_vl", "Qwen3-VL": "qwen3_vl"}


def full_size_config(name: str) -> dict[str, Any]:
    """A whole ``config.json``.

    Args:
        name: A name of :data:`TEXT`, such as "Qwen3-VL-2B".
    """
    return {
        "model_type": _MODEL_TYPES[name.rpartition("-")[0]],
        "dtype": "bfloat16",
        "text_config": dict(TEXT[name]),
        "vision_config": dict(VISION[name]),
    }


def model_config(name: str) -> ModelConfig:
    """Its family and sizes, as they are read from a checkpoint.

    Args:
        name: A name of :data:`TEXT`.
    """
    return parse_model_config(full_size_config(name), name=name, may_project=False)
