"""A page that a search found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from PIL import Image

    from vdr_integrations.types.page import PageImage

__all__ = ["SCORE_NAMES", "Explanation", "Hit", "ScoreKind", "explained"]

ScoreKind: TypeAlias = Literal["", "maxsim", "corrected", "cosine", "bm25", "hybrid"]
"""What the score of a hit is; empty: not known."""

SCORE_NAMES: dict[ScoreKind, str] = {
    "maxsim": "MaxSim",
    "corrected": "Corrected",
    "cosine": "Cosine",
    "bm25": "BM25",
    "hybrid": "Hybrid",
}
"""What people are told that the score of a hit is."""


class Explanation(Protocol):
    """Draws the heat map of a hit."""

    def __call__(self, *, page: Image.Image | PageImage | None) -> Any:  # noqa: ANN401  # retrieval.HeatMap, of a layer above
        """See :meth:`Hit.heatmap`."""
        ...


class _Explainable:
    """Keeps what a search knows of a hit besides its fields.

    It is not a field: it is not compared, shown, copied, pickled or written to JSON.
    """

    __slots__ = ("_explanation",)


@dataclass(frozen=True, slots=True)
class Hit(_Explainable):
    """A page and how well it matches.

    Attributes:
        source: The document, as the caller named it when it was indexed.
        page_number: 1-based.
        score: Higher is better; ``score_kind`` says what it is.
        page_label: The label in the PDF ("iv"), or the page number as text.
        total_pages: Pages of the document.
        page_ref: ``vdr-page:<sha256>`` of the image that was encoded.
        text: The text layer; empty for scans.
        page_id: Only in a late-interaction index; stays the same when the document is indexed
            again.
        metadata: The caller's metadata, only in a late-interaction index.
        warnings: What is missing or wrong in the image, one sentence each.
        score_kind: ``"cosine"``: cosine similarity, -1 to 1, from a dense index. ``"maxsim"``: from
            an index of late interaction, at most the number of query tokens. ``"corrected"``:
            MaxSim minus what the page gets from any question; above 0, it matches this question
            better than others. ``"bm25"``: from ``search_text``, above 0 and without a limit.
            ``"hybrid"``: pictures and words together, in standard deviations from the mean of the
            pages that were searched. Scores of two kinds cannot be compared, and ``"hybrid"``
            scores of two questions neither.
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
    warnings: tuple[str, ...] = ()
    score_kind: ScoreKind = ""

    def to_dict(self) -> dict[str, Any]:
        """The attributes as a dict for JSON, without those after ``text`` that are empty."""
        found = {**asdict(self), "warnings": list(self.warnings)}
        for name in ("page_id", "metadata", "warnings", "score_kind"):
            if not found[name]:
                del found[name]
        return found

    def heatmap(self, *, page: Image.Image | PageImage | None = None) -> Any:  # noqa: ANN401  # retrieval.HeatMap
        """Why the page was found, drawn over it: a ``vdr_integrations.retrieval.HeatMap``.

        For hits of ``PageSearcher.search`` over an index of late interaction.

        Args:
            page: The page's image; None takes it from the page store, or draws the page's file
                again.

        Raises:
            OptionError: A hit that does not know its search (from an index, or a copy), or an
                index of one vector a page.
            PageReferenceError: The image is no longer available, or is not the one that was
                indexed.
            IndexStoreError: The index cannot be used.
        """
        explanation: Explanation | None = getattr(self, "_explanation", None)
        if explanation is None:
            raise OptionError(
                f"{self.source} page {self.page_number}: this hit does not know the question that "
                f"it was found by. Hits of PageSearcher.search do, if they are not copied or "
                f"pickled; for others call searcher.heatmap(question, hit)."
            )
        return explanation(page=page)


_HitT = TypeVar("_HitT", bound=Hit)


def explained(hit: _HitT, explanation: Explanation) -> _HitT:
    """Return the same hit, which can now draw its heat map."""
    object.__setattr__(hit, "_explanation", explanation)
    return hit
