"""The searcher of an object whose options may change; a new one is made only if they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vdr_integrations.retrieval.page_searcher import PageSearcher

if TYPE_CHECKING:
    from vdr_integrations.encoders import DenseEncoder, EncoderOptions, MultiVectorEncoder
    from vdr_integrations.retrieval.open_indexes import IndexChoice, SharedIndex

__all__ = ["SearcherOnDemand"]


class SearcherOnDemand:
    """Keeps a searcher of late interaction, with its index and model.

    Copies and pickles are empty; a shallow copy of the object that has it shares it.
    """

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._kept: tuple[tuple[object, ...], PageSearcher] | None = None

    def get(
        self,
        index: IndexChoice | SharedIndex | None,
        encoder: MultiVectorEncoder | EncoderOptions,
        *,
        recall: DenseEncoder | EncoderOptions | None = None,
        page_store_path: str | None = None,
    ) -> PageSearcher:
        """The searcher of these options; see ``PageSearcher``."""
        made_of = (index, encoder, recall, page_store_path)
        kept = self._kept
        if kept is None or kept[0] != made_of:
            searcher = PageSearcher(
                index, encoder=encoder, recall=recall, page_store=page_store_path, late_only=True
            )
            kept = self._kept = (made_of, searcher)
        return kept[1]

    def __reduce__(self) -> tuple[Any, ...]:
        """A new object that keeps nothing."""
        return (type(self), ())

    def __eq__(self, other: object) -> bool:
        """All objects are equal: the result depends only on the options."""
        return type(other) is type(self)

    def __hash__(self) -> int:
        """The same for all objects."""
        return hash(type(self))
