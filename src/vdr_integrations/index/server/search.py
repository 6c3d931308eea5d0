"""Search on a server: the pages that the server finds are scored again, exactly."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vdr_integrations.index.scoring.candidates import (
    SMALL_INDEX_PAGES,
    most_candidates,
)
from vdr_integrations.index.scoring.maxsim import maxsim_scores
from vdr_integrations.index.scoring.page_bias import corrected
from vdr_integrations.index.scoring.ranking import COSINE_DECIMALS, MAXSIM_DECIMALS
from vdr_integrations.index.search_steps import ChangedMeanwhileError
from vdr_integrations.index.server.calls import client_models
from vdr_integrations.index.server.collection import DENSE, TOKENS
from vdr_integrations.index.server.reader import TRIES, Counted, too_fast
from vdr_integrations.index.server.server_filter import PAGES, server_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from vdr_integrations.index.page_filter import Where
    from vdr_integrations.index.search_steps import DenseSearch, MaxSimSearch
    from vdr_integrations.index.server.codebook_points import FirstStage, NamedCodebook
    from vdr_integrations.index.server.opened import OpenIndex
    from vdr_integrations.index.server.points import KeptPage
    from vdr_integrations.index.server.reader import ServerReader
    from vdr_integrations.types import Hit
    from vdr_integrations.types.hit import ScoreKind

    Ask: TypeAlias = Callable[[int, int], tuple[list[tuple[str, float]], bool]]
    """Arguments: number of wanted pages, and how often there were too few candidates.

    Result: pages with the server's scores, best first, and whether more candidates could find more
    pages.
    """
    Worth: TypeAlias = Callable[[dict[str, float]], dict[str, float]]
    """From exact scores by vectors to those of the hits."""

__all__ = ["ServerSearch"]

_MOST_RESCORED = 2048
"""If more pages than this are as good as the last hit, any of them may be shown."""
_SHARE = 2
"""A folder usually stops before the maximum of candidates; a server is asked once, for half of
it."""
UNLISTED_AT_LEAST = 256
"""Pages that no codebook lists, and that are compared at least."""
_MOST_VERSIONS = 1000


class ServerSearch:
    """Searches one index. Safe to call from any thread."""

    def __init__(self, index: OpenIndex, reader: ServerReader, first_stage: FirstStage) -> None:
        """Nothing is searched yet."""
        self._index = index
        self._collection = index.collection
        self._reader = reader
        self._first_stage = first_stage
        self._unlisted = 0

    def search(self, asked: MaxSimSearch, *, recalled: int | None = None) -> list[Hit]:
        """The best pages by MaxSim, best first.

        Args:
            asked: The search; its words do not count.
            recalled: Number of candidates that dense vectors select.
        """
        ask = self.candidates(asked, recalled=recalled)
        weight, kind = asked.bias_weight, asked.score_kind
        return self._best(asked.query, ask, k=asked.k, weight=weight, kind=kind)

    def candidates(self, asked: MaxSimSearch, *, recalled: int | None = None) -> Ask:
        """How to ask for the pages that may be the best.

        Args:
            asked: The search.
            recalled: Number of candidates that dense vectors select, if they do.
        """
        query, where, k = asked.query, asked.where, asked.k
        weight = asked.bias_weight
        ask = self._exhaustive(query, where, weight=weight)
        if asked.exhaustive:
            return ask
        if asked.dense_query is not None:
            assert recalled is not None  # noqa: S101  # chosen before
            return self._by_dense(
                query, asked.dense_query, where=where, count=recalled, weight=weight
            )
        pages = fitting = self._collection.count(server_filter(PAGES))
        if where.groups:
            fitting = self._collection.count(server_filter(PAGES & where))
        most, count = most_candidates(pages, k=k), asked.candidates
        if fitting > (SMALL_INDEX_PAGES if count is None else 2 * count):
            named = self._codebook()
            share = 1 if weight else _SHARE
            brought = max(most // share, k) if count is None else count
            if named is not None:
                ask = self._by_codes(query, named, where=where, count=brought, weight=weight)
        return ask

    def scores_of(
        self, query: NDArray[np.float32], points: Sequence[str], *, weight: float
    ) -> dict[str, float]:
        """The server's scores by vectors of these pages, by the ids of their points."""
        if not points:
            return {}
        models = client_models()
        found = models.Filter(must=[models.HasIdCondition(has_id=list(points))])
        count = len(points)
        return dict(self._query(query, found, [], limit=count, weight=weight, most=count))

    def all_scores(
        self, query: NDArray[np.float32], where: Where, *, weight: float
    ) -> dict[str, float]:
        """The server's scores by vectors of all pages, also of those that are not committed."""
        every = self._collection.count(server_filter(PAGES & where))
        return dict(self._exhaustive(query, where, weight=weight)(every, 0)[0]) if every else {}

    def search_dense(self, asked: DenseSearch) -> list[Hit]:
        """The best pages by dense vectors, best first.

        A server holds no index of one vector a page, so there is no hybrid.
        """
        assert asked.hybrid is None, "an index of one vector a page is in a folder"  # noqa: S101
        ask = self._exhaustive(asked.query, asked.where, weight=0.0)
        return self._best(asked.query, ask, k=asked.k, weight=0.0, kind="cosine")

    def dense_scores(
        self, query: NDArray[np.float32], where: Where, *, most: int
    ) -> NDArray[np.float32]:
        """The ``most`` best scores of dense vectors beside token vectors."""
        found = server_filter(PAGES & where)
        answered = self._query(query, found, [], limit=most, weight=0.0, most=most)
        return np.round(np.array([score for _, score in answered], np.float32), COSINE_DECIMALS)

    def rerank(
        self, query: NDArray[np.float32], page_ids: Sequence[str], *, bias_weight: float
    ) -> list[Hit]:
        """See ``Engine``."""
        if not page_ids:
            return []

        def ask(_: int, __: int) -> tuple[list[tuple[str, float]], bool]:
            return [(one, 0.0) for one in self._reader.ids_by("page_id", page_ids)], False

        # Pages of several versions of a document may have the same id, so ask for more pages.
        most = _MOST_VERSIONS * len(page_ids)
        kind = "corrected" if bias_weight else "maxsim"
        return self._best(query, ask, k=len(page_ids), limit=most, weight=bias_weight, kind=kind)

    def _exhaustive(self, query: NDArray[np.float32], where: Where, *, weight: float) -> Ask:
        """How to ask for the best of all pages."""
        found = server_filter(PAGES & where)

        def ask(limit: int, _: int) -> tuple[list[tuple[str, float]], bool]:
            most = self._collection.count(found) if weight else limit
            return self._query(query, found, [], limit=limit, weight=weight, most=most), False

        return ask

    def _by_dense(
        self,
        query: NDArray[np.float32],
        dense: NDArray[np.float32],
        *,
        where: Where,
        count: int,
        weight: float,
    ) -> Ask:
        found = server_filter(PAGES & where)

        def ask(limit: int, widened: int) -> tuple[list[tuple[str, float]], bool]:
            most = count << widened
            prefetch = client_models().Prefetch(
                query=dense.tolist(), using=DENSE, filter=found, limit=most
            )
            answered = self._query(query, found, [prefetch], limit=limit, weight=weight, most=most)
            return answered, len(answered) >= min(limit, most)

        return ask

    def _by_codes(
        self,
        query: NDArray[np.float32],
        named: NamedCodebook,
        *,
        where: Where,
        count: int,
        weight: float,
    ) -> Ask:
        found = server_filter(PAGES & where)
        everything = self._exhaustive(query, where, weight=weight)
        room = max(UNLISTED_AT_LEAST, 2 * self._unlisted)

        def ask(limit: int, widened: int) -> tuple[list[tuple[str, float]], bool]:
            nonlocal room
            most = count << widened
            while True:
                prefetch = [
                    named.prefetch(query, where=where, limit=most),
                    named.unlisted(where=where, limit=room),
                ]
                answered = self._query(
                    query, found, prefetch, limit=limit, weight=weight, most=most + room
                )
                # Counted after the query, to include all pages that were added before it.
                self._unlisted = self._collection.count(named.unlisted_filter(where))
                if self._unlisted <= room:
                    break
                room = 2 * self._unlisted
            if len(answered) >= min(limit, most):
                return answered, True
            # Pages without a centroid of the question are not candidates at all.
            return everything(limit, widened)

        return ask

    def _query(
        self,
        query: NDArray[np.float32],
        found: Any,  # noqa: ANN401  # the client's filter
        prefetch: Sequence[Any],
        *,
        limit: int,
        weight: float,
        most: int,
    ) -> list[tuple[str, float]]:
        using = TOKENS if query.ndim == 2 else DENSE
        return self._collection.query(
            query,
            using=using,
            found=found,
            prefetch=prefetch,
            limit=limit,
            bias_weight=weight,
            most_scored=most,
        )

    def _codebook(self) -> NamedCodebook | None:
        # If pages are in no list, there may be a new codebook.
        return self._first_stage.current() if self._unlisted else self._first_stage.known()

    def _best(
        self,
        query: NDArray[np.float32],
        ask: Ask,
        *,
        k: int,
        limit: int | None = None,
        weight: float,
        kind: ScoreKind,
    ) -> list[Hit]:
        """The best ``k`` committed pages of those that ``ask`` finds.

        Servers round queries to the format of the stored vectors. So a few more pages than ``k``
        are scored again, and then more pages as long as the observed error allows that the next
        one is among the best.

        Raises:
            IndexLockedError: Pages were replaced during each attempt.
        """
        seen = _Seen(self._index, self._reader, query, weight, kind, lambda exact: exact)
        first = _first_limit(k) if limit is None else limit
        lost: frozenset[str] = frozenset()
        for _ in range(TRIES):
            counted = Counted(self._index)
            hits = _counted_best(seen, counted, ask, k=k, limit=first)
            # Lost pages of a document that was replaced meanwhile: the next attempt finds the
            # new ones. Pages that a killed writer left are lost in the next attempt too.
            if counted.lost <= lost:
                return hits
            lost |= counted.lost
        raise too_fast(self._index)

    def best_of(self, asked: MaxSimSearch, ask: Ask, worth: Worth) -> list[Hit]:
        """The best committed pages of those that ``ask`` finds, by what their scores are worth.

        Raises:
            ChangedMeanwhileError: One of them was replaced or removed meanwhile.
        """
        weight, kind = asked.bias_weight, asked.score_kind
        seen = _Seen(self._index, self._reader, asked.query, weight, kind, worth)
        counted = Counted(self._index)
        hits = _counted_best(seen, counted, ask, k=asked.k, limit=_first_limit(asked.k))
        if counted.lost:
            raise ChangedMeanwhileError
        return hits


def _first_limit(k: int) -> int:
    return k + max(4, k // 4)


@dataclass(slots=True)
class _Seen:
    """Pages that one search has scored.

    Attributes:
        error: Largest difference between an exact score and the server's score.
    """

    index: OpenIndex
    reader: ServerReader
    query: NDArray[np.float32]
    bias_weight: float
    kind: ScoreKind
    worth: Worth
    scored: dict[str, tuple[KeptPage, float]] = field(
        default_factory=dict[str, "tuple[KeptPage, float]"]
    )
    error: float = 0.0

    def hits(self, answered: Sequence[tuple[str, float]], counted: Counted) -> list[Hit]:
        """Hits of the committed pages among those that the server found, best first.

        Raises:
            IndexFormatError: A page is not what was written.
        """
        self._score(answered)
        known = [one for one, _ in answered if one in self.scored]
        counted.add_gone(one for one, _ in answered if one not in self.scored)
        counted.look_up(self.scored[one][0] for one in known)
        found: list[Hit] = []
        for one in known:
            kept, score = self.scored[one]
            document = counted.owner(one, kept)
            if document is not None:
                page = replace(kept.page, total_pages=document.record.total_pages)
                found.append(page.hit(score, self.kind))
        return sorted(found, key=lambda hit: (-hit.score, hit.source, hit.page_number))

    def _score(self, answered: Sequence[tuple[str, float]]) -> None:
        ids = [one for one, _ in answered if one not in self.scored]
        server_scores = dict(answered)
        using = TOKENS if self.query.ndim == 2 else DENSE
        names = self.reader.vector_names()
        found: dict[str, KeptPage] = {}
        exact: dict[str, float] = {}
        for point in self.index.collection.retrieve(ids, vectors=names):
            kept = self.index.page(point)
            page = self.reader.with_vectors(point, kept)
            rows = page.vectors if using == TOKENS else page.dense
            assert rows is not None  # noqa: S101  # their digest was right
            found[point.id] = kept
            exact[point.id] = _score(self.query, rows, bias=page.bias, weight=self.bias_weight)
        for point_id, score in self.worth(exact).items():
            self.scored[point_id] = (found[point_id], score)
            self.error = max(self.error, abs(score - server_scores[point_id]))


def _counted_best(seen: _Seen, counted: Counted, ask: Ask, *, k: int, limit: int) -> list[Hit]:
    widened = 0
    while True:
        answered, is_more = ask(limit, widened)
        best = seen.hits(answered, counted)
        if len(answered) < limit:
            if len(best) >= k or not is_more:
                return best[:k]
            widened += 1  # uncommitted candidates took the places of others
            continue
        if len(best) >= k:
            next_best = answered[-1][1] + 2 * seen.error
            if next_best < best[k - 1].score or limit >= max(_MOST_RESCORED, 2 * k):
                return best[:k]
        limit *= 2


def _score(
    query: NDArray[np.float32], rows: NDArray[np.float32], *, bias: float, weight: float
) -> float:
    if query.ndim == 2:
        exact, biases = maxsim_scores(query, [rows]), np.array([bias], np.float32)
        score, decimals = float(corrected(exact, biases, weight=weight)[0]), MAXSIM_DECIMALS
    else:
        score, decimals = float(np.clip(rows @ query, -1.0, 1.0)), COSINE_DECIMALS
    return round(score, decimals) + 0.0
