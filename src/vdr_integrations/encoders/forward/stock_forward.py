"""transformers' own vision tower and decoder, for its ``attn_implementation`` options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders.forward.decoder import Prefix

__all__ = ["StockDecoder", "StockVisionTower"]


class StockVisionTower:
    """transformers' tower, called like ``VisionTower``."""

    def __init__(self, tower: Any) -> None:  # noqa: ANN401  # loosely typed
        """Wrap a ``Qwen2VisionTransformerPretrainedModel``."""
        self._tower = tower
        self.attention: str = tower.config._attn_implementation  # noqa: SLF001

    def __call__(self, patches: torch.Tensor, positions: torch.Tensor, images: int) -> torch.Tensor:
        """See ``VisionTower``."""
        # A version of transformers takes rows and columns, others also positions and boundaries,
        # under names that differ: every version makes those from rows and columns by itself.
        sides = positions.view(images, -1, 2).amax(dim=1) + 1
        visual = self._tower(patches, grid_thw=functional.pad(sides.long(), (1, 0), value=1))
        return visual.pooler_output


class StockDecoder:
    """transformers' decoder, called like ``Decoder``."""

    def __init__(self, decoder: Any) -> None:  # noqa: ANN401  # loosely typed
        """Wrap a ``Qwen2VLTextModel``."""
        self._decoder = decoder

    def __call__(
        self,
        embedded: torch.Tensor,
        positions: torch.Tensor,
        *,
        is_token: NDArray[np.bool_] | None,
        last_only: bool,
        prefix: Prefix | None = None,
    ) -> torch.Tensor:
        """See ``Decoder``; a prefix is not supported."""
        assert prefix is None  # noqa: S101  # Backbone passes none to this class
        mask = None if is_token is None else torch.from_numpy(is_token).to(embedded.device)
        states = self._decoder(
            inputs_embeds=embedded,
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
        ).last_hidden_state
        return states[:, -1:] if last_only else states
