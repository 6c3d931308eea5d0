"""What the index asks of an engine: points with payloads and named vectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.index.late_interaction.compression import Compression
    from vdr_integrations.index.late_interaction.filters import Where

__all__ = [
    "DENSE",
    "INDEXED_FIELDS",
    "OVERSAMPLING",
    "POOLED",
    "TOKENS",
    "Engine",
    "Point",
    "Recall",
    "Schema",
]

TOKENS = "tokens"
POOLED = "pooled"
DENSE = "dense"

INDEXED_FIELDS = {
    "kind": "keyword",
    "source": "keyword",
    "version": "keyword",
    "page_id": "keyword",
    "page_number": "integer",
}
"""Payload fields that engines keep an index of."""

OVERSAMPLING = {"int8": 2.0, "binary": 8.0}
"""By quantisation: how many times more pages than asked for are scored again."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What an engine must know to make a store.

    Attributes:
        dimension: Of token vectors.
        dense_dimension: Of the dense vector beside them, None for none.
        compression: How token vectors are stored.
    """

    dimension: int
    dense_dimension: int | None
    compression: Compression


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """What engines keep.

    Attributes:
        id: A UUID as text.
        payload: JSON-able.
        vectors: float32 by name: (tokens, dimension), or (dimension,) for the dense one.
    """

    id: str
    payload: dict[str, Any]
    vectors: dict[str, NDArray[np.float32]] = field(
        default_factory=dict[str, "NDArray[np.float32]"]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Recall:
    """A first, cheap look: the ``limit`` points nearest to ``vector`` by the vector ``using``."""

    using: str
    vector: NDArray[np.float32]
    limit: int


class Engine(Protocol):
    """One store of points. Safe to call from any thread.

    Every method raises IndexStoreError, or one of its kinds, when the store cannot be used.
    """

    @property
    def location(self) -> str:
        """What messages call the store."""
        ...

    @property
    def is_exclusive(self) -> bool:
        """Whether no other process can have the store open."""
        ...

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, in place of those with the same ids."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Delete points; unknown ids are ignored."""
        ...

    def delete_where(self, where: Where) -> None:
        """Delete all points that fit."""
        ...

    def retrieve(self, ids: Sequence[str], *, vectors: Sequence[str] = ()) -> list[Point]:
        """The points with these ids, in any order; unknown ids are left out."""
        ...

    def scroll(
        self, where: Where, *, limit: int, after: str | None = None
    ) -> tuple[list[Point], str | None]:
        """Points without vectors, a stretch at a time, and where the next stretch begins."""
        ...

    def count(self, where: Where) -> int:
        """How many points fit, exactly."""
        ...

    def versions(self) -> dict[str, int]:
        """Pages by document version."""
        ...

    def query(
        self,
        query: NDArray[np.float32],
        *,
        limit: int,
        where: Where,
        recall: Recall | None,
        exact: bool,
    ) -> list[tuple[str, float]]:
        """Ids and MaxSim scores by the token vectors, best first.

        ``recall`` narrows the points down first; ``exact`` looks past quantised copies.
        """
        ...

    def flush(self) -> None:
        """Return when everything that was written survives a power cut."""
        ...

    def optimize(self) -> None:
        """Give back the space of what was deleted, and build quantised copies."""
        ...

    def close(self) -> None:
        """Let go of the store; a second call does nothing."""
        ...
