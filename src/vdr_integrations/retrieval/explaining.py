"""Why a page was found: the similarity of a question to the places of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError
from vdr_integrations.index.scoring.maxsim import similarity_grids
from vdr_integrations.retrieval.reranking import stored_page_id
from vdr_integrations.retrieval.similarity import SimilarityGrids

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index import LateInteractionIndex
    from vdr_integrations.retrieval.found_page import FoundPage
    from vdr_integrations.retrieval.index_and_encoders import IndexAndEncoders
    from vdr_integrations.retrieval.page_pictures import PagePictures
    from vdr_integrations.retrieval.question import Question
    from vdr_integrations.types import PatchGrid

__all__ = ["prompt_of", "question_grids"]

_NO_PROMPT = "{query}"
"""Token vectors have no prompt around them."""


def question_grids(
    question: Question, page: FoundPage, *, parts: IndexAndEncoders, pictures: PagePictures
) -> SimilarityGrids:
    """The grids of a question on a page; see ``PageSearcher.grids``.

    Stored vectors are used. If the index does not hold the page, or its tokens were pooled, the
    page's image is encoded. A question of token vectors needs no encoder for stored vectors.
    """
    index = parts.late_index()
    with parts.recovering(index):
        query = question.vectors
        encoder = parts.late_encoder(index) if query is None else None
        tokens = question.token_texts(encoder)
        if query is None:
            assert encoder is not None  # noqa: S101  # loaded above
            query = parts.tokens(question, encoder)
        vectors, layout = _page_vectors(page, index, parts, pictures)
        return SimilarityGrids(tuple(tokens), similarity_grids(query, vectors, layout))


def prompt_of(question: Question, parts: IndexAndEncoders) -> str:
    """The prompt around a question; it distinguishes the words of the question."""
    if question.vectors is not None:
        return _NO_PROMPT
    return parts.late_encoder(parts.late_index()).query_prompt


def _page_vectors(
    page: FoundPage,
    index: LateInteractionIndex | None,
    parts: IndexAndEncoders,
    pictures: PagePictures,
) -> tuple[NDArray[np.float32], PatchGrid]:
    """float32 (tokens, dimension) of a page, and which of them are visual tokens."""
    if page.page_ref is None:
        raise OptionError(
            f"{page.citation} is not a page: it has no page reference. Give a hit, or a document "
            f"or node of a page."
        )
    one = None if index is None else stored_page_id(page, index)
    if index is not None and one is not None:
        for stored in index.get([one], with_vectors=True):
            if stored.grid is not None and stored.vectors is not None:
                return stored.vectors, stored.grid
    encoder = parts.late_encoder(index)
    image = pictures.indexed(page)
    return encoder.encode_pages([image])[0], encoder.page_layout(image.height, image.width)
