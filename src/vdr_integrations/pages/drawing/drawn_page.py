"""A drawn page: what an index stores of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vdr_integrations.types import PageImage

__all__ = ["DrawnPage"]


@dataclass(frozen=True, slots=True)
class DrawnPage:
    """The parts of a page that an index stores.

    Attributes:
        image: The page, drawn at the size that fills the pixel budget.
        page_label: The document's label of the page.
        text: The text layer.
        warnings: What is missing or wrong in the image although it could be drawn, one sentence
            each.
    """

    image: PageImage
    page_label: str
    text: str
    warnings: tuple[str, ...] = ()
