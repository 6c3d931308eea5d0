"""How much of found pages a language model is shown in one call. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

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
"""Below these there is nothing to be read; some 600 bytes are the smallest JPEG there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewLimits:
    """Limits of one call of an agent's tool.

    Attributes:
        max_pages: Hits, however many are asked for.
        max_images: Pictures of pages and regions together; 0 for text alone.
        max_side_px: Longest side of a picture in the answer to a question.
        max_zoom_side_px: Longest side of a page or region that is opened. Vision models scale
            larger pictures down themselves.
        max_image_bytes: Of one encoded picture in the answer to a question.
        max_total_bytes: Of all encoded pictures of a call; base64 takes a third more. A page that
            is opened may take all of it.
        max_excerpt_characters: Of the text layer, around the words of the question.
        max_text_characters: Of the text layer of a page that is opened.
    """

    max_pages: int = 10
    max_images: int = 6
    max_side_px: int = 1024
    max_zoom_side_px: int = 1568
    max_image_bytes: int = 180_000
    max_total_bytes: int = 480_000
    max_excerpt_characters: int = 700
    max_text_characters: int = 4000

    def __post_init__(self) -> None:
        """Refuse limits that no page could meet."""
        for name, least in _LEAST.items():
            found = getattr(self, name)
            if found < least:
                raise OptionError(f"ViewLimits.{name} must be at least {least}, found {found}.")

    def check_pages(self, k: int) -> None:
        """Refuse to be asked for more hits than a call may have.

        Raises:
            OptionError: ``k`` is below 1 or above ``max_pages``.
        """
        if not 1 <= k <= self.max_pages:
            raise OptionError(f"k must be from 1 to {self.max_pages}, found {k}.")
