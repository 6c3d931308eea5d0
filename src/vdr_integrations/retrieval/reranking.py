"""Pages that anything found, scored by late interaction: what is stored, what is to be encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vdr_integrations.errors import OptionError
from vdr_integrations.index.scoring.ranking import MAXSIM_DECIMALS
from vdr_integrations.index.stored_vectors import as_stored
from vdr_integrations.types import PageImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders import MultiVectorEncoder
    from vdr_integrations.index import LateInteractionIndex
    from vdr_integrations.retrieval.bank_choice import ScoreScale
    from vdr_integrations.retrieval.found_page import FoundPage
    from vdr_integrations.retrieval.page_pictures import PagePictures
    from vdr_integrations.types import Hit

__all__ = ["PageScores", "RankedPage", "stored_page_id"]


class RankedPage(NamedTuple):
    """A page in its new place.

    Attributes:
        place: Where the page stood among those that came in, from 0.
        score: MaxSim, or with a question bank MaxSim minus what the page gets from any question;
            higher is better.
    """

    place: int
    score: float


def stored_page_id(page: FoundPage, index: LateInteractionIndex) -> str | None:
    """The id of a page in an index, or None.

    A page counts only if the index was made of the very image that its reference names: after a
    document has changed, an older hit is not mistaken for its new page.
    """
    return _stored_ids([page], index)[0]


class PageScores:
    """Pages and their scores, as they come in.

    One question, in this order: :meth:`look_up`, :meth:`take_stored`, :meth:`load_missing`,
    :meth:`take_encoded`, :meth:`best`.
    """

    def __init__(
        self,
        pages: Sequence[FoundPage],
        query: NDArray[np.float32],
        *,
        index: LateInteractionIndex | None,
        pictures: PagePictures,
        scale: ScoreScale,
    ) -> None:
        """Score nothing yet.

        Args:
            pages: In any order.
            query: float32 (query tokens, dimension).
            index: How it stores vectors is how the others are compared.
            pictures: Images of pages that the index does not hold.
            scale: By what scores are corrected.

        Raises:
            OptionError: A page with neither reference nor image.
        """
        for page in pages:
            if page.page_ref is None and page.image is None:
                raise OptionError(
                    f"{page.citation}: it is a text and has no image, and a text cannot be "
                    f"compared with pages. Rerank pages only."
                )
        self._pages = pages
        self._query = query
        self._index = index
        self._pictures = pictures
        self._scale = scale
        self._ids: dict[int, str] = {}
        self._scores: dict[int, float] = {}
        self._missing: dict[str, list[int]] = {}
        self._images: list[PageImage] = []

    def look_up(self) -> list[str]:
        """Ids of the pages that the index holds."""
        if self._index is not None:
            found = enumerate(_stored_ids(self._pages, self._index))
            self._ids = {place: one for place, one in found if one is not None}
        return list(dict.fromkeys(self._ids.values()))

    def take_stored(self, hits: Sequence[Hit]) -> None:
        """Take the scores of :meth:`look_up`'s pages."""
        scores = {hit.page_id: hit.score for hit in hits}
        self._scores = {place: scores[one] for place, one in self._ids.items() if one in scores}

    def load_missing(self, encoder: MultiVectorEncoder) -> list[PageImage]:
        """Images of the pages that have no score yet, each once; reads files.

        Raises:
            PageError: An image cannot be opened, or is not available.
        """
        for place, page in enumerate(self._pages):
            if place in self._scores:
                continue
            key, image = self._image(page, encoder)
            if key not in self._missing:
                self._images.append(image)
            self._missing.setdefault(key, []).append(place)
        return self._images

    def take_encoded(
        self, matrices: Sequence[NDArray[np.float32]], encoder: MultiVectorEncoder
    ) -> None:
        """Take the vectors of :meth:`load_missing`'s images."""
        for image, matrix, places in zip(
            self._images, matrices, self._missing.values(), strict=True
        ):
            page = matrix
            if self._index is not None:
                grid = encoder.page_layout(image.height, image.width)
                page = as_stored(matrix, grid, compression=self._index.compression)
            score = round(self._scale.score(self._query, page), MAXSIM_DECIMALS) + 0.0
            self._scores.update(dict.fromkeys(places, score))

    def best(self, top_n: int | None) -> list[RankedPage]:
        """The best pages, best first; pages of equal scores stay in order."""
        order = sorted(self._scores, key=lambda place: (-self._scores[place], place))
        return [RankedPage(place, self._scores[place]) for place in order[:top_n]]

    def _image(self, page: FoundPage, encoder: MultiVectorEncoder) -> tuple[str, PageImage]:
        if page.page_ref is not None:
            known = self._missing.get(page.page_ref)
            image = self._images[list(self._missing).index(page.page_ref)] if known else None
            return page.page_ref, image or self._pictures.indexed(page)
        assert page.image is not None  # noqa: S101  # checked at the beginning
        # Photographs are much larger than any budget; many of them must not fill the memory.
        shrunk = PageImage(page.image.render(encoder.pixel_budget), source=page.source)
        return str(shrunk.ref), shrunk


def _stored_ids(pages: Sequence[FoundPage], index: LateInteractionIndex) -> list[str | None]:
    ids = dict.fromkeys(one for page in pages if page.page_ref for one in page.ids)
    refs = {stored.page_id: stored.page_ref for stored in index.get(list(ids))}
    return [
        next((one for one in page.ids if page.page_ref and refs.get(one) == page.page_ref), None)
        for page in pages
    ]
