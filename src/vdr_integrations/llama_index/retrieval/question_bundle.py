"""Turns LlamaIndex's query bundles into questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core.schema import QueryBundle

from vdr_integrations.errors import OptionError
from vdr_integrations.pages.page_inputs import name_of, open_page
from vdr_integrations.retrieval.question import Question

if TYPE_CHECKING:
    from vdr_integrations.pages import PageStore

__all__ = ["QuestionBundle", "question_of"]


class QuestionBundle(QueryBundle):
    """A bundle that holds its question; LlamaIndex's own bundle has no field for it.

    Observers see the fields of a ``QueryBundle``, never pixels.
    """

    def __init__(self, question: Question) -> None:
        """Put the name of an image into ``image_path``."""
        page = question.page
        super().__init__(query_str="", image_path=None if page is None else name_of(page))
        self.question = question


def question_of(query: str | QueryBundle, store: PageStore) -> Question:
    """The question of a bundle; the bundle is not changed.

    If there is an image path (or page reference), the texts are not used: they are meant for the
    language model. A vector in the bundle is not used: LlamaIndex's dense retrievers put theirs
    there.

    Raises:
        OptionError: Neither text nor image, or half a surrogate pair in a text.
        PageError: A reference to a page that is not stored.
    """
    if isinstance(query, QuestionBundle):
        return query.question
    bundle = QueryBundle(query) if isinstance(query, str) else query
    if bundle.image_path:
        return Question(page=open_page(bundle.image_path, store=store))
    texts = tuple(text for text in bundle.embedding_strs if text.strip())
    if not texts:
        raise OptionError(
            "found no query: give a text, or an image by QueryBundle('', image_path=...)."
        )
    return Question.of(texts)
