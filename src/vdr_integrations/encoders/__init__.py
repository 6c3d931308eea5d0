"""Qwen2-VL retrievers: checkpoints described by data, one core that runs them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vdr_integrations.encoders.checkpoint import KNOWN_CHECKPOINTS, Checkpoint
from vdr_integrations.encoders.handle import EncoderHandle, EncoderOptions, MultiVectorHandle

if TYPE_CHECKING:
    from vdr_integrations.encoders.dense import DenseEncoder
    from vdr_integrations.encoders.load import load_encoder
    from vdr_integrations.encoders.multi_vector import MultiVectorEncoder
    from vdr_integrations.encoders.paired import PairedEncoder, PairedVectors

__all__ = [
    "KNOWN_CHECKPOINTS",
    "Checkpoint",
    "DenseEncoder",
    "EncoderHandle",
    "EncoderOptions",
    "MultiVectorEncoder",
    "MultiVectorHandle",
    "PairedEncoder",
    "PairedVectors",
    "load_encoder",
]

_HOMES = {
    "DenseEncoder": "dense",
    "MultiVectorEncoder": "multi_vector",
    "PairedEncoder": "paired",
    "PairedVectors": "paired",
    "load_encoder": "load",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562; torch is imported by the first use
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
