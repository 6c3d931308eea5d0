"""A page that a search found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from vdr_integrations.types.page import PageImage

__all__ = ["Explanation", "Hit", "explained"]


class Explanation(Protocol):
    """What draws the heat map of a hit."""

    def __call__(
        self,
        *,
        query_tokens: Sequence[str] | None,
        page: Image.Image | PageImage | None,
        encoder: Any,  # noqa: ANN401  # encoders.MultiVectorEncoder, likewise
    ) -> Any:  # noqa: ANN401  # index.HeatMap, of a layer that this one does not know
        """See :meth:`Hit.heatmap`."""
        ...


class _Explainable:
    """Room for what a search knows of a hit beyond its fields.

    No field: it is not compared, shown, copied, pickled or turned into JSON.
    """

    __slots__ = ("_explanation",)


@dataclass(frozen=True, slots=True)
class Hit(_Explainable):
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

    def heatmap(
        self,
        *,
        query_tokens: Sequence[str] | None = None,
        page: Image.Image | PageImage | None = None,
        encoder: Any = None,  # noqa: ANN401  # encoders.MultiVectorEncoder, of a layer above
    ) -> Any:  # noqa: ANN401  # index.HeatMap, likewise
        """Why the page was found, drawn over it: a ``vdr_integrations.index.HeatMap``.

        Of hits of ``LateInteractionIndex.search`` and ``rerank``, as long as the index is open.

        Args:
            query_tokens: ``encoder.query_tokens(question)``: the texts of the query's tokens, to
                tell the words of the question from the prompt. Numbers when left out.
            page: The page's image; taken from the page store, or drawn again from its file, when
                left out.
            encoder: The ``MultiVectorEncoder`` that made the index; encodes the page again where
                its tokens were pooled.

        Raises:
            OptionError: A hit that does not know its search (of a dense index, or copied), another
                number of tokens, or a page whose tokens were pooled, and no encoder.
            PageReferenceError: The image is not to be had, or another than was indexed.
            IndexStoreError: The index was closed.
        """
        explanation: Explanation | None = getattr(self, "_explanation", None)
        if explanation is None:
            raise OptionError(
                f"{self.source} page {self.page_number}: this hit does not know the query it was "
                f"found by. Hits of LateInteractionIndex.search do, as long as they are not "
                f"copied or pickled; for others call retriever.heatmap(question, hit)."
            )
        return explanation(query_tokens=query_tokens, page=page, encoder=encoder)


_HitT = TypeVar("_HitT", bound=Hit)


def explained(hit: _HitT, explanation: Explanation) -> _HitT:
    """The hit itself, which now knows how to draw its heat map."""
    object.__setattr__(hit, "_explanation", explanation)
    return hit
