"""transformers' own vision tower and decoder, for its ``attn_implementation`` options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders.forward.decoder import Deepstack, Prefix
    from vdr_integrations.encoders.forward.model_sizes import DecoderSizes, VisionSizes

__all__ = ["StockDecoder", "StockVisionTower"]


class StockVisionTower:
    """transformers' tower, called like ``VisionTower``."""

    def __init__(self, tower: Any, sizes: VisionSizes) -> None:  # noqa: ANN401  # loosely typed
        """Wrap ``visual`` of transformers' model."""
        self._tower, self._sizes = tower, sizes
        self.attention: str = tower.config._attn_implementation  # noqa: SLF001

    def __call__(
        self,
        patches: torch.Tensor,
        positions: torch.Tensor,
        images: int,
        grid: tuple[int, int],
    ) -> torch.Tensor:
        """See ``VisionTower``."""
        if self._sizes.window_tokens:  # it makes windows by itself
            patches = self._line_by_line(patches, positions, images, grid)
        # A version of transformers takes rows and columns, others also positions and boundaries,
        # under names that differ: every version makes those from rows and columns by itself.
        sides = positions.view(images, -1, 2).amax(dim=1) + 1
        visual = self._tower(patches, grid_thw=functional.pad(sides.long(), (1, 0), value=1))
        deep = getattr(visual, "deepstack_features", None) or ()
        return torch.cat([visual.pooler_output, *deep], dim=-1) if deep else visual.pooler_output

    def _line_by_line(
        self, patches: torch.Tensor, positions: torch.Tensor, images: int, grid: tuple[int, int]
    ) -> torch.Tensor:
        """Patches in the order of ``patchify``, not of the page's windows."""
        side = self._sizes.spatial_merge_size
        row, column = positions[: len(patches) // images].unbind(1)
        token = row // side * (grid[1] // side) + column // side
        place = token * side**2 + row % side * side + column % side
        lines = torch.empty_like(patches).view(images, -1, patches.shape[1])
        lines[:, place] = patches.view(lines.shape)
        return lines.view(patches.shape)


class StockDecoder:
    """transformers' decoder, called like ``Decoder``."""

    def __init__(self, decoder: Any, sizes: DecoderSizes) -> None:  # noqa: ANN401  # loosely typed
        """Wrap ``language_model`` of transformers' model."""
        self._decoder, self._sizes = decoder, sizes

    def __call__(
        self,
        embedded: torch.Tensor,
        positions: torch.Tensor,
        *,
        is_token: NDArray[np.bool_] | None,
        last_only: bool,
        prefix: Prefix | None = None,
        deepstack: Deepstack | None = None,
    ) -> torch.Tensor:
        """See ``Decoder``; a prefix is not supported."""
        assert prefix is None  # noqa: S101  # Backbone passes none to this class
        mask = None if is_token is None else torch.from_numpy(is_token).to(embedded.device)
        deep: dict[str, Any] = {}
        if deepstack is not None:
            deep = {
                "visual_pos_masks": torch.from_numpy(deepstack.is_visual).to(embedded.device),
                "deepstack_visual_embeds": deepstack.features.split(self._sizes.hidden_size, dim=1),
            }
        states = self._decoder(
            inputs_embeds=embedded,
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
            **deep,
        ).last_hidden_state
        return states[:, -1:] if last_only else states
