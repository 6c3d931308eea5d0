"""One batch on its way through the encoder: what is cached, what is to be encoded, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.llama_index.embedding.items import EmbeddingItem, PageItem, TextItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.types import PageImage

__all__ = ["ItemBatch"]


class ItemBatch:
    """Texts and pages in the order they were asked for.

    Args:
        items: All of them.
        cached: Their vectors, None where the encoder must be asked.
    """

    def __init__(
        self, items: Sequence[EmbeddingItem], cached: Sequence[list[float] | None]
    ) -> None:
        self._vectors = {place: vector for place, vector in enumerate(cached) if vector is not None}
        missing = {place: item for place, item in enumerate(items) if place not in self._vectors}
        self._missing = missing
        self._texts = {at: item for at, item in missing.items() if isinstance(item, TextItem)}
        self._pages = {at: item for at, item in missing.items() if isinstance(item, PageItem)}

    @property
    def missing(self) -> list[EmbeddingItem]:
        """What was not cached."""
        return list(self._missing.values())

    @property
    def missing_vectors(self) -> list[list[float]]:
        """Vectors of :attr:`missing`, once they were given."""
        return [self._vectors[place] for place in self._missing]

    @property
    def texts(self) -> list[str]:
        """Texts to encode."""
        return [item.text for item in self._texts.values()]

    @property
    def has_pages(self) -> bool:
        """Whether there are pages to encode."""
        return bool(self._pages)

    def load_pages(self) -> list[PageImage]:
        """Images of the pages to encode; reads files.

        Raises:
            PageReferenceError: A page is not in the store, or was altered.
        """
        return [item.load() for item in self._pages.values()]

    def give_texts(self, vectors: NDArray[np.float32]) -> None:
        """Take the vectors of :attr:`texts`."""
        self._vectors.update(zip(self._texts, vectors.tolist(), strict=True))

    def give_pages(self, vectors: NDArray[np.float32]) -> None:
        """Take the vectors of :meth:`load_pages`."""
        self._vectors.update(zip(self._pages, vectors.tolist(), strict=True))

    def vectors(self) -> list[list[float]]:
        """All vectors, as Python floats, in the order of the items."""
        return [self._vectors[place] for place in range(len(self._vectors))]
