"""From a query to ranked pages: what engines find is scored again, exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import IndexFormatError
from vdr_integrations.index.late_interaction.engine import TOKENS, Recall
from vdr_integrations.index.late_interaction.points import (
    committed_document,
    digest,
    document_id,
    hit_of,
)
from vdr_integrations.index.maxsim import maxsim_score

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index.late_interaction.engine import Engine, Point
    from vdr_integrations.index.late_interaction.filters import Where
    from vdr_integrations.index.late_interaction.points import CommittedDocument
    from vdr_integrations.types import Hit

__all__ = [
    "committed_documents",
    "default_candidates",
    "ranked",
    "scored_pages",
    "search",
    "verified_tokens",
]

_SCORE_DECIMALS = 5
"""Sums of float32 products are good to about 1e-6 of themselves: finer differences would rank two
copies of a page by chance."""
_MOST_RESCORED = 2048
"""Where more pages than this are as good as the last hit, which of them is shown is open."""
_RETRIEVED_AT_ONCE = 16


def default_candidates(k: int) -> int:
    """How many pages the first stage of a search brings to the second.

    With these, the ten best pages are those of an exhaustive search to 99 % on synthetic pages
    that share topics, words and background (1,000 and 4,000 pages, 50 and 100 to a topic;
    ``benchmarks/late_index.py`` prints it). Give more where an index holds very many alike.
    """
    return max(300, 30 * k)


@dataclass(slots=True)
class _Found:
    """Pages seen so far in one search."""

    engine: Engine
    query: NDArray[np.float32]
    hits: dict[str, Hit | None] = field(default_factory=dict[str, "Hit | None"])
    error: float = 0.0

    @property
    def has_lost(self) -> bool:
        """Whether some pages belonged to no document."""
        return None in self.hits.values()

    def add(self, found: Sequence[tuple[str, float]]) -> bool:
        """Score what is new, if anything; pages that no document owns (any more) count as None."""
        engine_scores = {id_: score for id_, score in found if id_ not in self.hits}
        for id_ in engine_scores:
            self.hits[id_] = None
        for id_, hit in scored_pages(self.engine, self.query, list(engine_scores)):
            self.hits[id_] = hit
            self.error = max(self.error, abs(hit.score - engine_scores[id_]))
        return bool(engine_scores)

    def best(self) -> list[Hit]:
        """Hits, best first; equal ones in the order of source and page number."""
        return ranked(hit for hit in self.hits.values() if hit is not None)


def search(
    engine: Engine,
    query: NDArray[np.float32],
    *,
    k: int,
    where: Where,
    recall: Recall | None,
    exact: bool,
) -> list[Hit]:
    """The best ``k`` committed pages among those that fit, or among those that ``recall`` brings.

    Engines round queries to the format of the stored vectors. So a few more pages than asked for
    are scored again from the stored vectors, and more as long as the next one could still belong
    among the best by the error that was seen.
    """
    found = _Found(engine, query)
    limit = k + max(4, k // 4)
    while True:
        if recall is not None and recall.limit < limit:
            recall = Recall(recall.using, recall.vector, limit)
        answered = engine.query(query, limit=limit, where=where, recall=recall, exact=exact)
        is_news = found.add(answered)
        best = found.best()
        is_all = len(answered) < limit and (recall is None or len(answered) < recall.limit)
        if len(best) >= k:
            next_best = answered[-1][1] + 2 * found.error
            if (
                len(answered) < limit
                or next_best < best[k - 1].score
                or limit >= max(_MOST_RESCORED, 2 * k)
            ):
                return best[:k]
        # A document that was replaced meanwhile is found by its new pages the next time.
        elif is_all and not (is_news and found.has_lost):
            return best
        limit *= 2


def scored_pages(
    engine: Engine, query: NDArray[np.float32], ids: Sequence[str]
) -> Iterable[tuple[str, Hit]]:
    """Point ids and exact hits of the committed pages among ``ids``, a few in memory at a time.

    Raises:
        IndexFormatError: Vectors that are not what was written.
    """
    for start in range(0, len(ids), _RETRIEVED_AT_ONCE):
        points = engine.retrieve(ids[start : start + _RETRIEVED_AT_ONCE], vectors=[TOKENS])
        documents = committed_documents(engine, {point.payload["source"] for point in points})
        for point in points:
            document = documents.get(point.payload["source"])
            if document is not None and document.owns(point.payload):
                score = maxsim_score(query, verified_tokens(engine, point))
                yield point.id, hit_of(point.payload, document, round(score, _SCORE_DECIMALS) + 0.0)


def ranked(hits: Iterable[Hit]) -> list[Hit]:
    """Best first; equal scores in the order of source and page number."""
    return sorted(hits, key=lambda hit: (-hit.score, hit.source, hit.page_number))


def committed_documents(engine: Engine, sources: Iterable[str]) -> dict[str, CommittedDocument]:
    """The documents of these names, as they are now."""
    ids = [document_id(source) for source in sources]
    if not ids:
        return {}
    found = map(committed_document, engine.retrieve(ids))
    return {document.record.source: document for document in found}


def verified_tokens(engine: Engine, point: Point) -> NDArray[np.float32]:
    """The token vectors of a page.

    Raises:
        IndexFormatError: They are not what was written.
    """
    payload: dict[str, Any] = point.payload
    tokens = point.vectors.get(TOKENS)
    if tokens is None or digest(tokens) != payload["sha256"]:
        raise IndexFormatError(
            f"index {engine.location} is damaged (altered vectors of {payload['source']} page "
            f"{payload['page_number']}); delete it and index the documents again."
        )
    return tokens
