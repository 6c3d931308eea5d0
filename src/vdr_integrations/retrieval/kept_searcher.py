"""The searcher behind an object whose options may change: made again only if they did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vdr_integrations.retrieval.page_searcher import PageSearcher

if TYPE_CHECKING:
    from vdr_integrations.encoders import DenseEncoder, EncoderOptions, MultiVectorEncoder
    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.retrieval.open_indexes import IndexLocation, SharedIndex

__all__ = ["KeptSearcher"]


class KeptSearcher:
    """Keeps a searcher of late interaction, with its index and model.

    Shallow copies share it. Pickles and deep copies are empty.
    """

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._kept: tuple[tuple[object, ...], PageSearcher] | None = None

    def get(
        self,
        index: PageIndex | IndexLocation | SharedIndex | None,
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
        """An object that keeps nothing."""
        return (type(self), ())

    def __eq__(self, other: object) -> bool:
        """All are equal: what they give depends on the options alone."""
        return type(other) is type(self)

    def __hash__(self) -> int:
        """Equal for all."""
        return hash(type(self))
