"""The part of a page that explains its score, with a little around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.agents.box import Box
from vdr_integrations.index.query_words import query_words
from vdr_integrations.index.regions import strongest_regions
from vdr_integrations.index.scoring.maxsim import similarity_grids

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.agents.found_pages import FoundPage
    from vdr_integrations.agents.page_pictures import PagePictures
    from vdr_integrations.encoders import MultiVectorEncoder
    from vdr_integrations.index.late_interaction_index import LateInteractionIndex

__all__ = ["matched_region", "region_of_grids"]

_MARGIN = 0.02
"""Of the page's sides: cells end in the middle of letters."""


def region_of_grids(
    grids: NDArray[np.float32], tokens: Sequence[str], *, prompt: str | None = None
) -> Box | None:
    """The strongest region of similarity grids, or None where nothing stands out.

    Args:
        grids: float32 (query tokens, rows, columns), see ``SimilarityGrids``.
        tokens: Text of every query token; its words count, where it has any.
        prompt: As in ``query_words``.
    """
    words = [word.tokens for word in query_words(tokens, prompt=prompt)]
    found = strongest_regions(grids, count=1, tokens=words or None)
    if not found:
        return None
    region = found[0]
    # With the margin at once: a cell of a page that is 100 times as long as wide is no box alone.
    return Box(
        max(0.0, region.left - _MARGIN),
        max(0.0, region.top - _MARGIN),
        min(1.0, region.right + _MARGIN),
        min(1.0, region.bottom + _MARGIN),
    )


def matched_region(
    page: FoundPage,
    query: NDArray[np.float32],
    *,
    tokens: Sequence[str],
    page_id: str,
    index: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    pictures: PagePictures,
) -> Box | None:
    """The region of an index's page that a query matched.

    Stored vectors are used; where tokens were pooled, the page's picture is encoded again.

    Args:
        page: The page.
        query: float32 (query tokens, dimension).
        tokens: Text of every query token.
        page_id: Of the page in the index.
        index: That found it.
        encoder: That made the index.
        pictures: Of the page.

    Raises:
        PageReferenceError: The picture is needed and cannot be had.
        IndexFormatError: Stored vectors are damaged.
    """
    prompt = encoder.checkpoint.query_prompt
    for stored in index.get([page_id], with_vectors=True):
        if stored.page_ref == page.page_ref and stored.grid is not None:
            assert stored.vectors is not None  # noqa: S101  # they were asked for
            grids = similarity_grids(query, stored.vectors, stored.grid)
            return region_of_grids(grids, tokens, prompt=prompt)
    image = pictures.indexed(page)
    layout = encoder.page_layout(image.height, image.width)
    (vectors,) = encoder.encode_pages([image])
    return region_of_grids(similarity_grids(query, vectors, layout), tokens, prompt=prompt)
