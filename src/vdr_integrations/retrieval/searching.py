"""From a question to hits, in an index of either kind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from vdr_integrations.defaults import DEFAULT_HITS
from vdr_integrations.errors import OptionError
from vdr_integrations.index.hybrid import HybridQuery, hybrid_weights
from vdr_integrations.retrieval.question import Question

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index import Hybrid, LateInteractionIndex
    from vdr_integrations.index.page_filter import PageFilter
    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.retrieval.index_and_encoders import IndexAndEncoders
    from vdr_integrations.types import Hit

__all__ = ["SearchOptions", "SearchPlan", "ahits_of", "hits_of", "hits_of_many"]


class SearchOptions(TypedDict, total=False):
    """Options of a search, beside the question.

    Attributes:
        k: At most this many hits; at least 1. Default: 5.
        filter: Only pages that fit, see ``PageFilter``.
        exhaustive: Compare every page; a dense index always does.
        candidates: Number of pages that the first stage selects; None: as many as it takes.
        correction: Share of its bias that is subtracted from the MaxSim of a page, from 0 to 2, in
            an index with a question bank. None: the strength of the index for questions in words,
            and 0 for images, which no measurement was made for.
        hybrid: Let the words of the question count too, by BM25 over the text layers of pages; a
            ``Hybrid`` says with which weights. A question without words is searched by pictures
            alone. Pages without a text layer are found as before.
    """

    k: int
    filter: PageFilter | None
    exhaustive: bool
    candidates: int | None
    correction: float | None
    hybrid: bool | Hybrid


class SearchPlan(NamedTuple):
    """All options of a search, see :class:`SearchOptions`."""

    k: int = DEFAULT_HITS
    filter: PageFilter | None = None
    exhaustive: bool = False
    candidates: int | None = None
    correction: float | None = None
    hybrid: bool | Hybrid = False

    def words_of(self, question: Question) -> HybridQuery | None:
        """The words that count beside the vectors.

        Raises:
            OptionError: ``hybrid`` is something else.
        """
        weights = hybrid_weights(self.hybrid)
        if weights is None or not question.texts:
            return None
        return HybridQuery("\n".join(question.texts), weights)


def hits_of(parts: IndexAndEncoders, question: Question, options: SearchPlan) -> list[Hit]:
    """The hits of one question; it is not encoded again if it was asked lately."""
    index = parts.index()
    with parts.recovering(index):
        late = index.late
        if late is None:
            return _dense_hits(index, question, question.dense(parts.dense_encoder(index)), options)
        query = parts.tokens(question, parts.late_encoder(late))
        recall = None if options.exhaustive else parts.recall_encoder(late)
        dense = None if recall is None else question.dense(recall)
        return _late_hits(late, question, query, dense, options)


async def ahits_of(parts: IndexAndEncoders, question: Question, options: SearchPlan) -> list[Hit]:
    """:func:`hits_of` without blocking the event loop."""
    await parts.aopen()
    index = parts.index()
    with parts.recovering(index):
        late = index.late
        if late is None:
            vector = await question.adense(parts.dense_encoder(index))
            return await asyncio.to_thread(_dense_hits, index, question, vector, options)
        query = await parts.atokens(question, parts.late_encoder(late))
        recall = None if options.exhaustive else parts.recall_encoder(late)
        dense = None if recall is None else await question.adense(recall)
        return await asyncio.to_thread(_late_hits, late, question, query, dense, options)


def hits_of_many(
    parts: IndexAndEncoders, texts: Sequence[str], options: SearchPlan
) -> Iterator[tuple[Question, list[Hit]]]:
    """Each question with its hits, in order; all are encoded in batches, before the first."""
    questions, index = [Question.of(text) for text in texts], parts.index()
    with parts.recovering(index):
        late = index.late
        if late is None:
            for question, vector in zip(
                questions, parts.dense_encoder(index).encode_queries(texts), strict=True
            ):
                yield question, _dense_hits(index, question, vector, options)
            return
        encoder = parts.late_encoder(late)
        recall = None if options.exhaustive else parts.recall_encoder(late)
        dense = [None] * len(texts) if recall is None else recall.encode_queries(texts)
        for question, query, vector in zip(
            questions, encoder.encode_queries(texts), dense, strict=True
        ):
            parts.keep(question, encoder, query)
            yield question, _late_hits(late, question, query, vector, options)


def _late_hits(
    index: LateInteractionIndex,
    question: Question,
    query: NDArray[np.float32],
    dense: NDArray[np.float32] | None,
    options: SearchPlan,
) -> list[Hit]:
    return index.search(
        query,
        k=options.k,
        filter=options.filter,
        exhaustive=options.exhaustive,
        candidates=options.candidates,
        dense_query=dense,
        correction=question.correction(options.correction),
        hybrid=options.words_of(question),
    )


def _dense_hits(
    index: PageIndex, question: Question, vector: NDArray[np.float32], options: SearchPlan
) -> list[Hit]:
    if options.candidates is not None:
        raise OptionError(
            f"index {index.path} keeps one vector a page and compares all of them; leave "
            f"candidates out."
        )
    if options.correction:
        raise OptionError(
            f"index {index.path} keeps one vector a page, and scores are corrected for token "
            f"vectors only; leave correction out."
        )
    words = options.words_of(question)
    return index.search(vector, k=options.k, filter=options.filter, hybrid=words)
