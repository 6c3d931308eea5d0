"""One collection of qdrant-client: points with payloads and named vectors."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vdr_integrations.errors import IndexStoreError
from vdr_integrations.index.server.calls import client_models
from vdr_integrations.index.server.collection_options import (
    CODES,
    DENSE,
    TOKENS,
    new_collection,
    quantization_of,
    refuse_existing,
    refuse_made,
)
from vdr_integrations.index.server.small_copy import (
    by_small_copy,
    by_vectors_themselves,
    less_bias,
)
from vdr_integrations.index.server.troubles import InDoubtError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.index.index_settings import Settings
    from vdr_integrations.index.server.calls import ServerCalls

__all__ = ["BATCH_BYTES", "CHUNK_BYTES", "CODES", "DENSE", "TOKENS", "Collection", "Point"]

_INDEXED_FIELDS = {
    "kind": "keyword",
    "source": "keyword",
    "version": "keyword",
    "owns": "keyword",
    "page_id": "keyword",
    "page_ref": "keyword",
    "listed": "keyword",
    "sha256": "keyword",
    "page_number": "integer",
}
_MOST_VERSIONS = 1_000_000
CHUNK_BYTES = 512 * 1024
"""Bytes of a codebook or a question bank in one point."""
BATCH_BYTES = 20_000_000
"""Bytes of JSON in one write; a server accepts 32 MB."""
_NUMBER_BYTES = 21
_SCROLLED_AT_ONCE = 256
_RETRIEVED_AT_ONCE = 16
_IDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A point of a collection.

    Attributes:
        id: A UUID as text.
        payload: Fields, as JSON types.
        vectors: float32 by name: (tokens, dimension), or (dimension,) for the dense vector.
        codes: Indices of the sparse vector; None if there is no sparse vector.
    """

    id: str
    payload: dict[str, Any]
    vectors: dict[str, NDArray[np.float32]] = field(
        default_factory=dict[str, "NDArray[np.float32]"]
    )
    codes: NDArray[np.uint16] | None = None

    @property
    def json_bytes(self) -> int:
        """Approximate length of the point as JSON."""
        texts = sum(len(value) for value in self.payload.values() if isinstance(value, str))
        return texts + _NUMBER_BYTES * sum(rows.size for rows in self.vectors.values())


class Collection:
    """One collection. Every method raises what ``ServerCalls.call`` raises."""

    def __init__(self, calls: ServerCalls) -> None:
        """No call is made yet."""
        self._call = calls.call
        self._server = calls.server
        self._quantization: str | None = None
        self.location = calls.location
        models = client_models()
        # One copy of a shard takes all its writes, so that all copies do them in the same order.
        self._ordered = models.WriteOrdering.MEDIUM
        agreed = calls.server.read_consistency
        self._reads: dict[str, Any] = (
            {} if agreed is None else {"consistency": models.ReadConsistencyType(agreed)}
        )

    def exists(self) -> bool:
        """Whether the collection exists."""
        return bool(self._call("collection_exists"))

    def make(self, settings: Settings) -> None:
        """Make the empty collection.

        Raises:
            IndexStoreError: The collection exists already, or the server refuses.
        """
        if self.exists():
            raise self._is_there()
        is_sure = True
        try:
            self._call("create_collection", **new_collection(self._server, settings))
        except InDoubtError:
            # An attempt whose answer was lost may have made it, or another writer with an index.
            if not self.exists() or self.count(None):
                raise
            is_sure = False
        try:
            refuse_made(self._server, self._look())
        except IndexStoreError:
            if is_sure:
                with suppress(IndexStoreError):
                    self.remove()
            raise
        with warnings.catch_warnings():
            # The client's in-process mode has no payload indexes and says so each time.
            warnings.filterwarnings("ignore", message="Payload indexes have no effect")
            for name, kind in _INDEXED_FIELDS.items():
                self._call("create_payload_index", field_name=name, field_schema=kind, wait=True)

    def find(self) -> None:
        """Look how the collection was made.

        Raises:
            IndexMismatchError: In another way than the options of the server ask for.
        """
        refuse_existing(self._server, self._look())

    def remove(self) -> None:
        """Delete the collection."""
        self._call("delete_collection")

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points; they replace points with the same ids."""
        for batch in _batches(points):
            made = [_struct(point) for point in batch]
            self._call("upsert", points=made, wait=True, ordering=self._ordered)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete points; unknown ids are ignored."""
        for start in range(0, len(ids), _IDS_AT_ONCE):
            found = list(ids[start : start + _IDS_AT_ONCE])
            self._call("delete", points_selector=found, wait=True, ordering=self._ordered)

    def delete_where(self, found: Any) -> None:  # noqa: ANN401  # the client's filter
        """Delete the points that match a filter."""
        selector = client_models().FilterSelector(filter=found)
        self._call("delete", points_selector=selector, wait=True, ordering=self._ordered)

    def set_payload(self, payload: dict[str, Any], found: Any) -> None:  # noqa: ANN401  # the client's filter
        """Write some fields of the points that match a filter, atomically for each point."""
        self._call("set_payload", payload=payload, points=found, wait=True, ordering=self._ordered)

    def set_codes(self, points: Sequence[Point]) -> None:
        """Write the sparse vectors of existing points, and then the payload that says so."""
        models = client_models()
        vectors = [
            models.PointVectors(id=point.id, vector={CODES: _sparse(point.codes)})
            for point in points
            if point.codes is not None
        ]
        if not vectors:
            return
        # In this order, so that a point whose payload says that it is listed is listed.
        operations: list[Any] = [
            models.UpdateVectorsOperation(update_vectors=models.UpdateVectors(points=vectors))
        ]
        operations += [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(payload=point.payload, points=[point.id])
            )
            for point in points
        ]
        self._call(
            "batch_update_points", update_operations=operations, wait=True, ordering=self._ordered
        )

    def retrieve(
        self,
        ids: Sequence[str],
        *,
        vectors: Sequence[str] = (),
        fields: Sequence[str] | None = None,
        everywhere: bool = False,
    ) -> Iterator[Point]:
        """Points with these ids, in any order, a few in memory at a time; unknown ids are left out.

        Args:
            ids: Ids of points.
            vectors: Names of the vectors to read.
            fields: Names of payload fields to read; None reads all.
            everywhere: Return what more than half of the copies of a cluster agree on. One node of
                three may be gone.
        """
        options: dict[str, Any] = {
            **self._reads,
            "with_payload": True if fields is None else list(fields),
            "with_vectors": list(vectors) or False,
        }
        if everywhere:
            # "majority" asks all copies, and fails if one is gone: then this is asked.
            options.setdefault("consistency", client_models().ReadConsistencyType.QUORUM)
        step = _RETRIEVED_AT_ONCE if vectors else _IDS_AT_ONCE
        for start in range(0, len(ids), step):
            for record in self._call("retrieve", ids=list(ids[start : start + step]), **options):
                yield _point(record)

    def scroll(self, found: Any, *, fields: Sequence[str] | None = None) -> Iterator[Point]:  # noqa: ANN401  # the client's filter
        """Points that match a filter, sorted by id, without vectors.

        Args:
            found: The filter.
            fields: Names of payload fields to read; None reads all.
        """
        after = None
        while True:
            records, after = self._call(
                "scroll",
                scroll_filter=found,
                limit=_SCROLLED_AT_ONCE,
                offset=after,
                with_payload=True if fields is None else list(fields),
                **self._reads,
            )
            yield from map(_point, records)
            if after is None:
                return

    def count(self, found: Any) -> int:  # noqa: ANN401  # the client's filter
        """Number of points that match a filter."""
        return int(self._call("count", count_filter=found, exact=True).count)

    def counts_by(self, key: str, found: Any) -> dict[str, int]:  # noqa: ANN401  # the client's filter
        """Number of points that match a filter, for each value of a payload field."""
        answer = self._call(
            "facet", key=key, facet_filter=found, limit=_MOST_VERSIONS, exact=True, **self._reads
        )
        return {str(hit.value): int(hit.count) for hit in answer.hits}

    def query(
        self,
        query: NDArray[np.float32],
        *,
        using: str,
        found: Any,  # noqa: ANN401  # the client's filter
        prefetch: Sequence[Any],
        limit: int,
        bias_weight: float = 0.0,
        most_scored: int = 0,
    ) -> list[tuple[str, float]]:
        """Ids and scores of the points nearest to a query, best first.

        Args:
            query: float32: a matrix for token vectors, one vector for dense vectors.
            using: Name of the vectors.
            found: A filter.
            prefetch: ``Prefetch`` objects of the client; only the points that they find are
                compared. Empty compares all.
            limit: Maximum number of points.
            bias_weight: How many times the bias of a page is subtracted from its score.
            most_scored: Number of points that are compared at most, if a bias is subtracted.
        """
        most = max(most_scored, limit)
        in_full = None
        if using == TOKENS and self._quantization is not None:
            in_full = by_vectors_themselves()
            if prefetch and self._quantization == "int8":
                prefetch = by_small_copy(
                    query, prefetch, found=found, limit=limit, bias_weight=bias_weight, most=most
                )
                most = prefetch[0].limit
        asked: dict[str, Any] = {
            "query": query.tolist(),
            "using": using,
            "prefetch": list(prefetch) or None,
        }
        if bias_weight:
            scored = client_models().Prefetch(**asked, filter=found, limit=most, params=in_full)
            asked = {"query": less_bias(bias_weight), "prefetch": [scored]}
        elif in_full is not None:
            asked["search_params"] = in_full
        answer = self._call(
            "query_points",
            **asked,
            query_filter=found,
            limit=limit,
            with_payload=False,
            **self._reads,
        )
        return [(str(hit.id), float(hit.score)) for hit in answer.points]

    def _look(self) -> Any:  # noqa: ANN401  # the client's type
        config = self._call("get_collection").config
        self._quantization = quantization_of(config)
        return config

    def _is_there(self) -> IndexStoreError:
        return IndexStoreError(
            f"collection {self.location} exists already; open it, or give another name."
        )


def _batches(points: Sequence[Point]) -> Iterator[list[Point]]:
    batch: list[Point] = []
    size = 0
    for point in points:
        if batch and (size + point.json_bytes > BATCH_BYTES or len(batch) >= _IDS_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(point)
        size += point.json_bytes
    if batch:
        yield batch


def _struct(point: Point) -> Any:  # noqa: ANN401  # the client's type
    vector: dict[str, Any] = {name: rows.tolist() for name, rows in point.vectors.items()}
    if point.codes is not None:
        vector[CODES] = _sparse(point.codes)
    return client_models().PointStruct(id=point.id, vector=vector, payload=point.payload)


def _sparse(codes: NDArray[np.uint16] | None) -> Any:  # noqa: ANN401  # the client's type
    indices = [] if codes is None else codes.tolist()
    return client_models().SparseVector(indices=indices, values=[1.0] * len(indices))


def _point(record: Any) -> Point:  # noqa: ANN401  # the client's type
    vectors = dict(record.vector or {})
    sparse = vectors.pop(CODES, None)
    return Point(
        str(record.id),
        record.payload or {},
        {name: np.asarray(rows, np.float32) for name, rows in vectors.items()},
        None if sparse is None else np.array(sparse.indices, np.uint16),
    )
