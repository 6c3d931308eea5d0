"""What LlamaIndex asks by: a bundle of texts or an image, as a matrix of token vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from llama_index.core.schema import QueryBundle

from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index.embedding.query_mean import direction_of_mean
from vdr_integrations.pages import open_image
from vdr_integrations.types import PageImage, PageRef

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.llama_index.embedding.items import ImageInput
    from vdr_integrations.pages import PageStore

__all__ = ["Question", "QuestionBundle", "open_page", "question_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One of three: texts, a page, or vectors.

    Attributes:
        texts: Several count together: the score of a page is the sum of its scores.
        page: An image; its tokens are those of the query.
        vectors: float32 (query tokens, dimension), rows of length 1.
    """

    texts: tuple[str, ...] = ()
    page: PageImage | None = None
    vectors: NDArray[np.float32] | None = None

    def encode(self, encoder: MultiVectorEncoder) -> NDArray[np.float32]:
        """float32 (query tokens, dimension).

        Raises:
            EncodingError: The model could not give vectors, or a text is too long.
        """
        if self.vectors is not None:
            return self.vectors
        if self.page is not None:
            return encoder.encode_pages([self.page])[0]
        return np.concatenate(encoder.encode_queries(self.texts))

    async def aencode(self, encoder: MultiVectorEncoder) -> NDArray[np.float32]:
        """:meth:`encode` without blocking the event loop."""
        if self.vectors is not None:
            return self.vectors
        if self.page is not None:
            return (await encoder.aencode_pages([self.page]))[0]
        return np.concatenate(await encoder.aencode_queries(self.texts))

    def encode_dense(self, encoder: DenseEncoder) -> NDArray[np.float32]:
        """float32 (dense dimension,): of several texts, the direction of their mean.

        Raises:
            OptionError: Vectors, which a dense encoder has no part in.
        """
        if self.page is not None:
            return encoder.encode_pages([self.page])[0]
        return _mean(encoder.encode_queries(self._dense_texts()))

    async def aencode_dense(self, encoder: DenseEncoder) -> NDArray[np.float32]:
        """:meth:`encode_dense` without blocking the event loop."""
        if self.page is not None:
            return (await encoder.aencode_pages([self.page]))[0]
        return _mean(await encoder.aencode_queries(self._dense_texts()))

    def _dense_texts(self) -> tuple[str, ...]:
        if self.vectors is not None:
            raise OptionError(
                "a query of token vectors has no dense vector to recall pages by; search with a "
                "text or an image, or with a retriever without recall."
            )
        return self.texts


class QuestionBundle(QueryBundle):
    """A bundle that holds its question already, for what LlamaIndex's own has no field for.

    Observers see the fields of a ``QueryBundle``, never pixels.
    """

    def __init__(self, question: Question) -> None:
        """Show an image by its name."""
        super().__init__(
            query_str="", image_path=None if question.page is None else question.page.source
        )
        self.question = question


def question_of(query: str | QueryBundle, store: PageStore) -> Question:
    """The question that a bundle asks; reads image files, and changes nothing in the bundle.

    An image path comes before the texts beside it, which are meant for the language model. It may
    be a page reference. A vector in the bundle is not looked at: LlamaIndex's dense retrievers
    leave theirs there.

    Raises:
        OptionError: Neither text nor image.
        PageError: The image cannot be opened; URLs are refused too.
    """
    if isinstance(query, QuestionBundle):
        return query.question
    bundle = QueryBundle(query) if isinstance(query, str) else query
    if bundle.image_path:
        return Question(page=open_page(bundle.image_path, store))
    texts = tuple(text for text in bundle.embedding_strs if text.strip())
    if not texts:
        raise OptionError(
            "found no query: give a text, or an image by QueryBundle('', image_path=...)."
        )
    return Question(texts=texts)


def open_page(image: ImageInput, store: PageStore) -> PageImage:
    """An image in any form, or a stored page by its reference.

    Raises:
        PageError: It cannot be opened, or is not stored.
    """
    if isinstance(image, PageImage):
        return image
    ref = PageRef.parse(image) if isinstance(image, str) else image
    if isinstance(ref, PageRef):
        return store.get(ref)
    return open_image(image)  # pyright: ignore[reportArgumentType]  # a PageRef went the other way


def _mean(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(direction_of_mean(vectors.tolist()), np.float32)
