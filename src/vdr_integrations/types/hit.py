"""A page that a search found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Hit"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A page and how well it matches.

    Attributes:
        source: The document, as it was given when it was indexed.
        page_number: 1-based.
        score: Higher is better. Cosine similarity, -1 to 1, from a dense index; the MaxSim score
            (at most the number of query tokens) from a late-interaction index.
        page_label: What is printed on the page ("iv"), or the page number as text.
        total_pages: Pages of the document.
        page_ref: ``vdr-page:<sha256>`` of the image that was encoded.
        text: The text layer, empty for scans.
        page_id: In a late-interaction index, stays when the document is indexed again.
        metadata: The caller's, likewise.
    """

    source: str
    page_number: int
    score: float
    page_label: str
    total_pages: int
    page_ref: str
    text: str = ""
    page_id: str = ""
    metadata: dict[str, Any] = field(default_factory=dict[str, Any], hash=False)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, keys as the attributes; without ``page_id`` and ``metadata`` if empty."""
        found = asdict(self)
        for name in ("page_id", "metadata"):
            if not found[name]:
                del found[name]
        return found
