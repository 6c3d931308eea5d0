"""How much of found pages one call shows to a language model. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vdr_integrations.errors import OptionError

__all__ = ["ViewLimits"]

_LEAST = {
    "max_pages": 1,
    "max_images": 0,
    "max_side_px": 64,
    "max_zoom_side_px": 64,
    "max_image_bytes": 10_000,
    "max_total_bytes": 10_000,
    "max_excerpt_characters": 40,
    "max_text_characters": 40,
}
"""With less, nothing is legible; the smallest JPEG has about 600 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewLimits:
    """Limits of one call of an agent's tool.

    Attributes:
        images: ``"picture"`` shows the pages that a search found. ``"reference"`` shows only their
            texts and references, and pictures of the pages that the model opens: little for
            traces, memories and prompts.
        max_pages: Maximum number of hits.
        max_images: Maximum number of images, of pages and regions together; 0 for text only.
        max_side_px: Longer side, in pixels, of an image in a search result.
        max_zoom_side_px: Longer side, in pixels, of a page or region that is opened. Vision models
            shrink larger images themselves.
        max_image_bytes: Bytes of one encoded image in a search result.
        max_total_bytes: Bytes of all encoded images of a call; base64 needs a third more. A page
            that is opened may use all of them.
        max_excerpt_characters: Characters of the text layer, around the words of the question.
        max_text_characters: Characters of the text layer of a page that is opened.
    """

    images: Literal["picture", "reference"] = "picture"
    max_pages: int = 10
    max_images: int = 3
    max_side_px: int = 896
    max_zoom_side_px: int = 1568
    max_image_bytes: int = 100_000
    max_total_bytes: int = 300_000
    max_excerpt_characters: int = 700
    max_text_characters: int = 4000

    def __post_init__(self) -> None:
        """Refuse limits that are too small, and another word for ``images``."""
        if self.images not in ("picture", "reference"):  # it may be unhashable
            raise OptionError(
                f"ViewLimits.images must be 'picture' or 'reference', found {self.images!r}."
            )
        for name, least in _LEAST.items():
            found = getattr(self, name)
            if found < least:
                raise OptionError(f"ViewLimits.{name} must be at least {least}, found {found}.")

    def check_pages(self, k: int) -> None:
        """Refuse a number of hits outside the limits.

        Raises:
            OptionError: ``k`` is below 1 or above ``max_pages``.
        """
        if not 1 <= k <= self.max_pages:
            raise OptionError(f"k must be from 1 to {self.max_pages}, found {k}.")
