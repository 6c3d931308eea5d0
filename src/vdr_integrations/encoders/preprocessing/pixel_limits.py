"""Fewest pixels of a page in a checkpoint's own image processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFolder

__all__ = ["fewest_pixels"]


def fewest_pixels(folder: CheckpointFolder) -> int:
    """Pixels below which the checkpoint's own processor enlarges an image; 0 if it says nothing.

    This package fits pages itself; who else runs the checkpoint uses its processor.

    Raises:
        CheckpointError: ``preprocessor_config.json`` is damaged.
    """
    facts = folder.facts("preprocessor_config.json")
    size: Any = facts.get("size")
    found: Any = size.get("shortest_edge") if isinstance(size, dict) else None
    least = found if facts.get("min_pixels") is None else facts["min_pixels"]
    return least if isinstance(least, int) and least > 0 else 0
