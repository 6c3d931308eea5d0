"""Mean and deviation of a checkpoint's pixels, from its ``preprocessor_config.json``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vdr_integrations.errors import CheckpointError

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFolder

__all__ = ["read_normalisation"]

_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Values of CLIP, the defaults of Qwen2-VL's image processor."""


def read_normalisation(folder: CheckpointFolder) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of red, green and blue, for values from 0 to 1.

    Raises:
        CheckpointError: There are not three finite numbers each, or a deviation is not above 0.
    """
    facts = folder.facts("preprocessor_config.json")
    mean, deviation = (
        tuple(map(float, facts.get(key, usual)))
        for key, usual in (("image_mean", _CLIP_MEAN), ("image_std", _CLIP_STD))
    )
    if not (
        len(mean) == len(deviation) == len(_CLIP_MEAN)
        and all(map(math.isfinite, (*mean, *deviation)))
        and min(deviation) > 0
    ):
        raise CheckpointError(
            f"{folder.files.model}: preprocessor_config.json has image_mean={list(mean)} and "
            f"image_std={list(deviation)}; three finite numbers each are needed, deviations above "
            f"0. Download the checkpoint again."
        )
    return mean, deviation
