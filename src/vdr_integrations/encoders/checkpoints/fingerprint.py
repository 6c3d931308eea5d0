"""A digest of what decides vectors: contents of files, prompts, pooling, pixels, dimension."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vdr_integrations.encoders.checkpoints.digests import digest_of

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.types import PixelBudget

__all__ = ["encoder_fingerprint", "meaning_of"]

_FORMAT = 2


def encoder_fingerprint(
    checkpoint: Checkpoint, *, contents: str, budget: PixelBudget, dimension: int
) -> str:
    """SHA-256, hexadecimal: equal if vectors may be compared, different if they may not.

    Device, dtype and attention are left out: they change the last digits, not the meaning. Names,
    folders and commits are left out too: the contents of the files decide.

    Args:
        checkpoint: Prompts and pooling.
        contents: Digest of the contents of the checkpoint's files, see ``CheckpointContents``.
        budget: The size that pages are fitted to.
        dimension: Number of components that are kept.
    """
    return digest_of(
        meaning_of(checkpoint)
        | {
            "format": _FORMAT,
            "contents": contents,
            "pixel_budget": asdict(budget),
            "dimension": dimension,
        }
    )


def meaning_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """The part of a description that decides vectors: prompts and pooling."""
    facts = asdict(checkpoint)
    for said_elsewhere in ("model", "source", "min_visual_tokens", "keeps_leading"):
        del facts[said_elsewhere]
    # What has no meaning for vectors or queries of this kind.
    if not checkpoint.is_multi_vector:
        del facts["token_dimension"]
    if not checkpoint.has_query_image:
        del facts["query_image_side_px"]
    return facts
