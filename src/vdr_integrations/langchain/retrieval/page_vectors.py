"""The vectors of a document's page, for heat maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.langchain.retrieval.found_pages import page_ref_of, possible_page_ids

if TYPE_CHECKING:
    import numpy as np
    from langchain_core.documents import Document
    from numpy.typing import NDArray

    from vdr_integrations.encoders import MultiVectorEncoder
    from vdr_integrations.index import LateInteractionIndex
    from vdr_integrations.pages import PageStore
    from vdr_integrations.types import PatchGrid

__all__ = ["page_vectors"]


def page_vectors(
    document: Document,
    *,
    index: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    store: PageStore,
) -> tuple[NDArray[np.float32], PatchGrid]:
    """The vectors of a document's page, and which of them are visual tokens.

    Stored vectors are used; where there are none, or tokens were pooled, the page's image in the
    store is encoded.

    Raises:
        OptionError: The document is not a page.
        PageReferenceError: The page's image is needed and not in the store.
    """
    ref = page_ref_of(document)
    for page in index.get(possible_page_ids(document), with_vectors=True):
        if page.page_ref == str(ref) and page.grid is not None and page.vectors is not None:
            return page.vectors, page.grid
    image = store.get(ref)
    return encoder.encode_pages([image])[0], encoder.page_layout(image.height, image.width)
