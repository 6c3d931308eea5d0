"""A page that a search found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Hit"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A page and how well it matches.

    Attributes:
        source: The document, as it was given when it was indexed.
        page_number: 1-based.
        score: Cosine similarity, -1 to 1; higher is better.
        page_label: What is printed on the page ("iv"), or the page number as text.
        total_pages: Pages of the document.
        page_ref: ``vdr-page:<sha256>`` of the image that was encoded.
        text: The text layer, empty for scans.
    """

    source: str
    page_number: int
    score: float
    page_label: str
    total_pages: int
    page_ref: str
    text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, keys as the attributes."""
        return asdict(self)
