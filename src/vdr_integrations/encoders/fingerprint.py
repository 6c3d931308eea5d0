"""A short name for "the same vectors": model, prompts, pooling, pixels, dimension."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.encoders.checkpoint import Checkpoint
    from vdr_integrations.types import PixelBudget

__all__ = ["encoder_fingerprint", "weights_digest"]

_FORMAT = 1
_WHOLE_BELOW_BYTES = 64 * 1024**2
_SAMPLES = 64
_SAMPLE_BYTES = 64 * 1024


def weights_digest(folder: Path) -> str:
    """SHA-256 over the safetensors files of a folder, of samples where they are large.

    A file below 64 MiB is read whole; of a larger one the length, the head and 64 evenly spread
    blocks of 64 KiB: any fine-tuning changes nearly every block, and 4.4 GB need not be read.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}".encode())
        with path.open("rb") as file:
            if size <= _WHOLE_BELOW_BYTES:
                digest.update(file.read())
                continue
            for n in range(_SAMPLES):
                file.seek(n * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def encoder_fingerprint(
    checkpoint: Checkpoint, *, weights: str, budget: PixelBudget, dimension: int
) -> str:
    """SHA-256, hexadecimal: equal if vectors may be compared, different if they may not.

    Device, dtype and attention are left out: they change the last digits, not the meaning. So is
    the path that a checkpoint was loaded from: the weights tell.

    Args:
        checkpoint: Prompts and pooling.
        weights: Digest of the weights' files.
        budget: What pages are fitted to.
        dimension: Components kept.
    """
    facts = asdict(checkpoint)
    del facts["model"], facts["source"]
    if not checkpoint.is_multi_vector:
        del facts["token_dimension"]  # says nothing about dense vectors
    facts |= {
        "format": _FORMAT,
        "weights": weights,
        "pixel_budget": asdict(budget),
        "dimension": dimension,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
