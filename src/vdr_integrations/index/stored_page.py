"""A page as an index returns it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vdr_integrations.index.records import PageRecord
from vdr_integrations.types import Hit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.types import PatchGrid
    from vdr_integrations.types.hit import ScoreKind

__all__ = ["StoredPage", "page_id", "stable_id"]

_NAMESPACE = uuid.UUID("4f1e9c62-8a34-5d0b-9f57-0c6f1f7b2a11")


@dataclass(frozen=True, slots=True, eq=False)
class StoredPage:
    """A page of the index.

    Attributes:
        page_id: Id of the page; it stays the same when the document is indexed again.
        source: Name of its document.
        page_number: 1-based.
        page_label: What is printed on the page ("iv"), or the page number as text.
        page_ref: ``vdr-page:<sha256>`` of the image that was encoded.
        total_pages: Number of pages of the document.
        text: The text layer, empty for scans.
        grid: Which rows of ``vectors`` are visual tokens; None if tokens were pooled, and in an
            index of dense vectors.
        metadata: The caller's metadata of document and page.
        bias: How well the page matches any question, per query token, see ``QuestionBank``; 0 in an
            index without a question bank.
        warnings: What is missing or wrong in the image, one sentence each.
        vectors: float32 (tokens, dimension) as they are stored; None if they were not requested, or
            if the index has no token vectors.
        dense: float32 (dense dimension,); None if it was not requested, or if the index has no
            dense vectors.
    """

    page_id: str
    source: str
    page_number: int
    page_label: str
    page_ref: str
    total_pages: int
    text: str
    grid: PatchGrid | None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    bias: float = 0.0
    warnings: tuple[str, ...] = ()
    vectors: NDArray[np.float32] | None = None
    dense: NDArray[np.float32] | None = None

    @property
    def record(self) -> PageRecord:
        """What was stored about the page, apart from its vectors."""
        return PageRecord(
            page_number=self.page_number,
            page_label=self.page_label,
            page_ref=self.page_ref,
            text=self.text,
            grid=self.grid,
            warnings=self.warnings,
        )

    def hit(self, score: float, kind: ScoreKind = "") -> Hit:
        """This page as a hit."""
        return Hit(
            source=self.source,
            page_number=self.page_number,
            score=score,
            page_label=self.page_label,
            total_pages=self.total_pages,
            page_ref=self.page_ref,
            text=self.text,
            page_id=self.page_id,
            metadata=self.metadata,
            warnings=self.warnings,
            score_kind=kind,
        )


def page_id(source: str, page_number: int) -> str:
    """The id of a page. It depends on the source and the page number alone."""
    return stable_id("page", source, page_number)


def stable_id(*parts: str | int) -> str:
    """A UUID that is computed from these parts."""
    return str(uuid.uuid5(_NAMESPACE, json.dumps(parts)))
