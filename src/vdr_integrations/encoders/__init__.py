"""Retrievers of several families: checkpoints described by data, one core that runs them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vdr_integrations.encoders.checkpoints.description import Checkpoint
from vdr_integrations.encoders.checkpoints.known_checkpoints import KNOWN_CHECKPOINTS
from vdr_integrations.encoders.encoder_on_demand import EncoderOptions

if TYPE_CHECKING:
    from vdr_integrations.encoders.dense_encoder import DenseEncoder
    from vdr_integrations.encoders.load import load_encoder
    from vdr_integrations.encoders.multi_vector_encoder import MultiVectorEncoder
    from vdr_integrations.encoders.paired_encoder import PairedEncoder, PairedVectors

__all__ = [
    "KNOWN_CHECKPOINTS",
    "Checkpoint",
    "DenseEncoder",
    "EncoderOptions",
    "MultiVectorEncoder",
    "PairedEncoder",
    "PairedVectors",
    "load_encoder",
]

_HOMES = {
    "DenseEncoder": "dense_encoder",
    "MultiVectorEncoder": "multi_vector_encoder",
    "PairedEncoder": "paired_encoder",
    "PairedVectors": "paired_encoder",
    "load_encoder": "load",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562; torch is imported by the first use
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
