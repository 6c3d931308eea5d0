"""From a question to hits, in an index of either kind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from vdr_integrations.errors import OptionError
from vdr_integrations.retrieval.question import Question

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index import LateInteractionIndex
    from vdr_integrations.index.page_filter import PageFilter
    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.retrieval.index_and_encoders import IndexAndEncoders
    from vdr_integrations.types import Hit

__all__ = ["SearchOptions", "ahits_of", "hits_of", "hits_of_many"]


class SearchOptions(NamedTuple):
    """What is asked for beside a question; see ``PageSearcher.search``."""

    k: int
    filter: PageFilter | None
    exhaustive: bool
    candidates: int | None


def hits_of(parts: IndexAndEncoders, question: Question, options: SearchOptions) -> list[Hit]:
    """The hits of one question; it is not encoded again if it was asked lately."""
    index = parts.index()
    with parts.recovering(index):
        late = index.late
        if late is None:
            return _dense_hits(index, question.dense(parts.dense_encoder(index)), options)
        query = parts.tokens(question, parts.late_encoder(late))
        recall = None if options.exhaustive else parts.recall_encoder(late)
        dense = None if recall is None else question.dense(recall)
        return _late_hits(late, query, dense, options)


async def ahits_of(
    parts: IndexAndEncoders, question: Question, options: SearchOptions
) -> list[Hit]:
    """:func:`hits_of` without blocking the event loop."""
    await parts.aopen()
    index = parts.index()
    with parts.recovering(index):
        late = index.late
        if late is None:
            vector = await question.adense(parts.dense_encoder(index))
            return await asyncio.to_thread(_dense_hits, index, vector, options)
        query = await parts.atokens(question, parts.late_encoder(late))
        recall = None if options.exhaustive else parts.recall_encoder(late)
        dense = None if recall is None else await question.adense(recall)
        return await asyncio.to_thread(_late_hits, late, query, dense, options)


def hits_of_many(
    parts: IndexAndEncoders, texts: Sequence[str], options: SearchOptions
) -> Iterator[tuple[Question, list[Hit]]]:
    """Each question with its hits, in order; all are encoded in batches, before the first."""
    questions, index = [Question.of(text) for text in texts], parts.index()
    with parts.recovering(index):
        late = index.late
        if late is None:
            for question, vector in zip(
                questions, parts.dense_encoder(index).encode_queries(texts), strict=True
            ):
                yield question, _dense_hits(index, vector, options)
            return
        encoder = parts.late_encoder(late)
        recall = None if options.exhaustive else parts.recall_encoder(late)
        dense = [None] * len(texts) if recall is None else recall.encode_queries(texts)
        for question, query, vector in zip(
            questions, encoder.encode_queries(texts), dense, strict=True
        ):
            parts.keep(question, encoder, query)
            yield question, _late_hits(late, query, vector, options)


def _late_hits(
    index: LateInteractionIndex,
    query: NDArray[np.float32],
    dense: NDArray[np.float32] | None,
    options: SearchOptions,
) -> list[Hit]:
    return index.search(query, **options._asdict(), dense_query=dense)


def _dense_hits(index: PageIndex, vector: NDArray[np.float32], options: SearchOptions) -> list[Hit]:
    if options.candidates is not None:
        raise OptionError(
            f"index {index.path} keeps one vector a page and compares all of them; leave "
            f"candidates out."
        )
    return index.search(vector, k=options.k, filter=options.filter)
