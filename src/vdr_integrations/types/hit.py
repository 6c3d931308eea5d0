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
    """A function that draws the heat map of a hit."""

    def __call__(
        self,
        *,
        query_tokens: Sequence[str] | None,
        page: Image.Image | PageImage | None,
        encoder: Any,  # noqa: ANN401  # encoders.MultiVectorEncoder, of a layer above
    ) -> Any:  # noqa: ANN401  # index.HeatMap, of a layer above
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
        score: Higher is better. Cosine similarity, -1 to 1, from a dense index; the MaxSim score
            (at most the number of query tokens) from a late-interaction index.
        page_label: The label in the PDF ("iv"), or the page number as text.
        total_pages: Pages of the document.
        page_ref: ``vdr-page:<sha256>`` of the image that was encoded.
        text: The text layer; empty for scans.
        page_id: Only in a late-interaction index; stays the same when the document is indexed
            again.
        metadata: The caller's metadata, only in a late-interaction index.
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
        """The attributes as a dict for JSON, without ``page_id`` and ``metadata`` if empty."""
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
    ) -> Any:  # noqa: ANN401  # index.HeatMap, of a layer above
        """Draw over the page why it was found: a ``vdr_integrations.index.HeatMap``.

        It works for hits of ``LateInteractionIndex.search`` and ``rerank`` while the index is open.

        Args:
            query_tokens: ``encoder.query_tokens(question)``: the texts of the query's tokens, to
                distinguish the words of the question from the prompt. None shows numbers.
            page: The page's image. None reads it from the page store, or draws it again from its
                file.
            encoder: The ``MultiVectorEncoder`` that made the index. It encodes the page again if
                its tokens were pooled.

        Raises:
            OptionError: The hit does not know its search (it is from a dense index, or a copy), the
                number of tokens is wrong, or the page's tokens were pooled and no encoder is given.
            PageReferenceError: The image is not available, or differs from the indexed one.
            IndexStoreError: The index was closed.
        """
        explanation: Explanation | None = getattr(self, "_explanation", None)
        if explanation is None:
            raise OptionError(
                f"{self.source} page {self.page_number}: this hit does not know the query that "
                f"found it. Only hits of LateInteractionIndex.search know it, until they are "
                f"copied or pickled; for others call retriever.heatmap(question, hit)."
            )
        return explanation(query_tokens=query_tokens, page=page, encoder=encoder)


_HitT = TypeVar("_HitT", bound=Hit)


def explained(hit: _HitT, explanation: Explanation) -> _HitT:
    """Return the same hit, which can now draw its heat map."""
    object.__setattr__(hit, "_explanation", explanation)
    return hit
