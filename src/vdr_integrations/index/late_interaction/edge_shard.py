"""Qdrant Edge: a store in a folder, in this process.

The binding holds Python's lock while it searches, so the index keeps it in a process of its own;
see ``edge_process``.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vdr_integrations.errors import (
    IndexFormatError,
    IndexLockedError,
    IndexStoreError,
    MissingExtraError,
)
from vdr_integrations.index.late_interaction.engine import (
    DENSE,
    INDEXED_FIELDS,
    OVERSAMPLING,
    POOLED,
    TOKENS,
    Point,
)
from vdr_integrations.index.late_interaction.engine_filter import engine_filter
from vdr_integrations.index.late_interaction.filters import Where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.index.late_interaction.engine import Recall, Schema

__all__ = ["EdgeShard"]

_MOST_VERSIONS = 10_000_000


class EdgeShard:
    """Implements ``Engine`` over one shard."""

    is_exclusive = True

    def __init__(self, folder: str, shard: Any, *, quantization: str | None) -> None:  # noqa: ANN401  # the binding has its own types
        """Use :meth:`create` or :meth:`load`."""
        self.location = folder
        self._shard = shard
        self._quantization = quantization

    @classmethod
    def create(cls, folder: str, schema: Schema) -> EdgeShard:
        """Make the store of a new index in an empty folder."""
        edge = _binding()
        Path(folder).mkdir(parents=True, exist_ok=True)
        with _typed(folder):
            shard = edge.EdgeShard.create(folder, _config(schema))
            types = edge.PayloadSchemaType
            kinds = {"keyword": types.Keyword, "integer": types.Integer}
            for name, kind in INDEXED_FIELDS.items():
                shard.update(edge.UpdateOperation.create_field_index(name, kinds[kind]))
        return cls(folder, shard, quantization=schema.compression.quantization)

    @classmethod
    def load(cls, folder: str) -> EdgeShard:
        """Open a store.

        Raises:
            IndexLockedError: It is open already.
            IndexFormatError: It is damaged.
        """
        edge = _binding()
        with _typed(folder):
            shard = edge.EdgeShard.load(folder)
        return cls(folder, shard, quantization=None)

    def use_quantization(self, quantization: str | None) -> None:
        """Search by quantised copies."""
        self._quantization = quantization

    def upsert(self, points: Sequence[Point]) -> None:
        """See ``Engine``."""
        edge = _binding()
        made = [
            edge.Point(id=point.id, vector=dict(point.vectors), payload=point.payload)
            for point in points
        ]
        self._update(edge.UpdateOperation.upsert_points(made))

    def delete(self, ids: Sequence[str]) -> None:
        """See ``Engine``."""
        self._update(_binding().UpdateOperation.delete_points(list(ids)))

    def delete_where(self, where: Where) -> None:
        """See ``Engine``."""
        self._update(_binding().UpdateOperation.delete_points_by_filter(_filter(where)))

    def retrieve(self, ids: Sequence[str], *, vectors: Sequence[str] = ()) -> list[Point]:
        """See ``Engine``."""
        with _typed(self.location):
            found = self._shard.retrieve(
                list(ids), with_payload=True, with_vector=list(vectors) or False
            )
        return [_point(record) for record in found]

    def scroll(
        self, where: Where, *, limit: int, after: str | None = None
    ) -> tuple[list[Point], str | None]:
        """See ``Engine``."""
        request = _binding().ScrollRequest(
            offset=after, limit=limit, filter=_filter(where), with_payload=True, with_vector=False
        )
        with _typed(self.location):
            found, following = self._shard.scroll(request)
        return [_point(record) for record in found], None if following is None else str(following)

    def count(self, where: Where) -> int:
        """See ``Engine``."""
        with _typed(self.location):
            return self._shard.count(_binding().CountRequest(filter=_filter(where), exact=True))

    def versions(self) -> dict[str, int]:
        """See ``Engine``."""
        request = _binding().FacetRequest(
            "version", limit=_MOST_VERSIONS, exact=True, filter=_filter(Where.equal(kind="page"))
        )
        with _typed(self.location):
            return {str(hit.value): hit.count for hit in self._shard.facet(request).hits}

    def query(
        self,
        query: NDArray[np.float32],
        *,
        limit: int,
        where: Where,
        recall: Recall | None,
        exact: bool,
    ) -> list[tuple[str, float]]:
        """See ``Engine``."""
        edge = _binding()
        filtered = _filter(where)
        prefetches = None
        if recall is not None:
            first = edge.Query.Nearest(recall.vector, using=recall.using)
            prefetches = [edge.Prefetch(limit=recall.limit, query=first, filter=filtered)]
        request = edge.QueryRequest(
            query=edge.Query.Nearest(query, using=TOKENS),
            prefetches=prefetches,
            filter=filtered,
            limit=limit,
            params=self._params(exact=exact),
            with_payload=False,
            with_vector=False,
        )
        with _typed(self.location):
            return [(str(hit.id), float(hit.score)) for hit in self._shard.query(request)]

    def flush(self) -> None:
        """See ``Engine``."""
        with _typed(self.location):
            self._shard.flush()

    def optimize(self) -> None:
        """See ``Engine``."""
        with _typed(self.location):
            self._shard.optimize()

    def close(self) -> None:
        """See ``Engine``."""
        self._shard.close()

    def _update(self, operation: object) -> None:
        with _typed(self.location):
            self._shard.update(operation)

    def _params(self, *, exact: bool) -> Any:  # noqa: ANN401  # the binding's type
        edge = _binding()
        if exact or self._quantization is None:
            quantization = edge.QuantizationSearchParams(ignore=True)
        else:
            quantization = edge.QuantizationSearchParams(
                rescore=True, oversampling=OVERSAMPLING[self._quantization]
            )
        return edge.SearchParams(exact=exact, quantization=quantization)


def _binding() -> Any:  # noqa: ANN401  # a module
    try:
        import qdrant_edge
    except ImportError as error:
        raise MissingExtraError(
            package="qdrant-edge-py",
            extra="late-interaction",
            purpose="a late-interaction index in a folder",
        ) from error
    return qdrant_edge


class _typed:  # noqa: N801  # reads as a function
    """Turns the binding's plain exceptions into ours."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        # The binding's PanicException is no Exception, and means files that contradict themselves.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            return
        text = str(error)
        if "WouldBlock" in text:
            raise IndexLockedError(
                f"index {self._folder} is open already, here or in another process; "
                f"close it there first, or use a Qdrant server."
            ) from error
        if "No space left" in text or "Permission denied" in text:
            raise IndexStoreError(
                f"index {self._folder} cannot be read or written ({text}); "
                f"check free space and permissions."
            ) from error
        raise IndexFormatError(
            f"index {self._folder} is damaged or not an index ({text}); "
            f"delete the folder and index the documents again."
        ) from error


def _config(schema: Schema) -> Any:  # noqa: ANN401  # the binding's type
    edge = _binding()
    floats = edge.VectorStorageDatatype
    stored = {"float16": floats.Float16, "float32": floats.Float32}[schema.compression.vectors]
    flat = edge.HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=0)
    many = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
    quantised = {
        None: None,
        "int8": edge.ScalarQuantizationConfig(edge.ScalarType.Int8, quantile=0.99),
        "binary": edge.BinaryQuantizationConfig(),
    }[schema.compression.quantization]
    vectors = {
        TOKENS: edge.EdgeVectorParams(
            size=schema.dimension,
            distance=edge.Distance.Dot,
            multivector_config=many,
            datatype=stored,
            hnsw_config=flat,
            quantization_config=quantised,
        ),
        POOLED: edge.EdgeVectorParams(
            size=schema.dimension,
            distance=edge.Distance.Dot,
            multivector_config=many,
            datatype=floats.Float16,
            hnsw_config=flat,
        ),
    }
    if schema.dense_dimension is not None:
        vectors[DENSE] = edge.EdgeVectorParams(
            size=schema.dense_dimension, distance=edge.Distance.Dot, hnsw_config=flat
        )
    return edge.EdgeConfig(vectors=vectors)


def _filter(where: Where) -> Any:  # noqa: ANN401  # the binding's type
    edge = _binding()
    return engine_filter(where, models=edge, match_any=edge.MatchAny, number_range=edge.RangeFloat)


def _point(record: Any) -> Point:  # noqa: ANN401  # the binding's type
    vectors = {name: _array(rows) for name, rows in (record.vector or {}).items()}
    return Point(str(record.id), record.payload or {}, vectors)


def _array(rows: Any) -> NDArray[np.float32]:  # noqa: ANN401  # nested lists
    if rows and isinstance(rows[0], float):
        return np.asarray(rows, np.float32)
    numbers = array("f")
    for row in rows:
        numbers.fromlist(row)
    return np.frombuffer(numbers, np.float32).reshape(len(rows), -1)
