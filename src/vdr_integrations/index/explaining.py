"""Hits that know why they were found."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from vdr_integrations.errors import IndexStoreError, OptionError
from vdr_integrations.index.heatmap import HeatMap
from vdr_integrations.index.page_pictures import page_picture
from vdr_integrations.index.scoring.maxsim import similarity_grids
from vdr_integrations.index.similarity import SimilarityGrids
from vdr_integrations.types import PageImage
from vdr_integrations.types.hit import explained

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from vdr_integrations.encoders import MultiVectorEncoder
    from vdr_integrations.index.late_interaction_index import LateInteractionIndex
    from vdr_integrations.types import Hit

__all__ = ["explained_hits"]


def explained_hits(
    hits: Sequence[Hit],
    *,
    index: LateInteractionIndex,
    query: NDArray[np.float32],
) -> list[Hit]:
    """The same hits; each can draw its heat map now.

    Args:
        hits: Of a search.
        index: Must be open when a heat map is drawn; hits do not keep it open.
        query: float32 (query tokens, dimension) that they were found by.
    """
    held = weakref.ref(index)

    def with_explanation(hit: Hit) -> Hit:
        def explanation(
            *,
            query_tokens: Sequence[str] | None,
            page: Image.Image | PageImage | None,
            encoder: MultiVectorEncoder | None,
        ) -> HeatMap:
            found_in = held()
            if found_in is None:
                raise IndexStoreError(
                    f"{hit.source} page {hit.page_number}: the index that found it is closed; keep "
                    f"it open until heat maps are drawn."
                )
            if encoder is not None:
                found_in.manifest.check(encoder, index_path="of the hit")
            picture = _picture(hit, page, encoder, found_in)
            names = query_tokens
            if names is None:  # a space before each, or they would be pieces of one word
                names = [f" {number}" for number in range(len(query))]
            grids = SimilarityGrids(tuple(names), _grids(found_in, query, hit, picture, encoder))
            return HeatMap(
                grids,
                picture,
                prompt="{query}" if query_tokens is None else _prompt(encoder, found_in),
                label=f"{hit.source} page {hit.page_number}",
            )

        return explained(hit, explanation)

    return [with_explanation(hit) for hit in hits]


def _picture(
    hit: Hit,
    page: Image.Image | PageImage | None,
    encoder: MultiVectorEncoder | None,
    index: LateInteractionIndex,
) -> PageImage:
    if page is None:
        budget = index.manifest.pixel_budget if encoder is None else encoder.pixel_budget
        return page_picture(hit, budget=budget)
    return page if isinstance(page, PageImage) else PageImage.from_pil(page)


def _grids(
    index: LateInteractionIndex,
    query: NDArray[np.float32],
    hit: Hit,
    picture: PageImage,
    encoder: MultiVectorEncoder | None,
) -> NDArray[np.float32]:
    for page in index.get([hit.page_id], with_vectors=True):
        if page.page_ref != hit.page_ref or page.vectors is None:
            continue
        if page.grid is not None:
            return similarity_grids(query, page.vectors, page.grid)
        if encoder is not None:
            (vectors,) = encoder.encode_pages([picture])
            layout = encoder.page_layout(picture.height, picture.width)
            return similarity_grids(query, vectors, layout)
        raise OptionError(
            f"{hit.source} page {hit.page_number}: its visual tokens were pooled, and are no "
            f"longer places on the page. Give the encoder, hit.heatmap(encoder=...), to encode "
            f"the page again, or index without token_pooling."
        )
    raise OptionError(
        f"{hit.source} page {hit.page_number}: the index holds it no more, or another page in its "
        f"place; search again."
    )


def _prompt(encoder: MultiVectorEncoder | None, index: LateInteractionIndex) -> str | None:
    return index.prompts.get("query") if encoder is None else encoder.checkpoint.query_prompt
