"""Pages and queries as the model reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdr_integrations.encoders.preprocessing.patches import patchify

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL import Image

    from vdr_integrations.encoders.forward.model_sizes import VisionSizes
    from vdr_integrations.encoders.preprocessing.prompt_tokens import PromptTokens

__all__ = ["KeptVisualTokens", "Prepared", "PreparedPage", "PreparedQuery"]


class Prepared:
    """A page or a query, as some model takes it."""

    __slots__ = ()


@dataclass(slots=True)
class KeptVisualTokens:
    """Keeps a page's visual tokens for another model with the same vision tower.

    Attributes:
        tokens: (visual tokens, hidden size), on the device; None until a model has computed them.
    """

    tokens: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class PreparedPage(Prepared):
    """A page as the model reads it.

    Attributes:
        patches: uint8 (patches, bytes of a patch), in the order in which the model's tower reads
            them.
        grid: Patches down and across.
        kept: Keeps its visual tokens: the first model computes them, the next one reads them. None
            means that every model computes them.
    """

    patches: NDArray[np.uint8]
    grid: tuple[int, int]
    kept: KeptVisualTokens | None = None

    @classmethod
    def from_image(cls, image: Image.Image, sizes: VisionSizes) -> PreparedPage:
        """Page of an RGB image that is inside the pixel budget already."""
        grid = (image.height // sizes.patch_size, image.width // sizes.patch_size)
        patches = patchify(image, patch_size=sizes.patch_size, merge_size=sizes.spatial_merge_size)
        order = sizes.patch_order(grid)
        return cls(patches if order is None else patches[order], grid)

    @property
    def visual_tokens(self) -> torch.Tensor | None:
        """The kept visual tokens, (visual tokens, hidden size) on the device; else None."""
        return None if self.kept is None else self.kept.tokens

    def keep(self, visual_tokens: torch.Tensor) -> None:
        """Keep visual tokens if this page has ``kept``."""
        if self.kept is not None:
            self.kept.tokens = visual_tokens

    @property
    def patch_count(self) -> int:
        """Number of patches; a visual token has four."""
        return self.grid[0] * self.grid[1]


@dataclass(frozen=True, slots=True)
class PreparedQuery(Prepared):
    """A query's tokens, prompt included."""

    tokens: PromptTokens
