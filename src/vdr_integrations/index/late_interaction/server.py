"""A Qdrant server or cluster."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from vdr_integrations.errors import (
    IndexNotFoundError,
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
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from qdrant_client import QdrantClient

    from vdr_integrations.index.late_interaction.engine import Recall, Schema
    from vdr_integrations.index.late_interaction.qdrant_server import QdrantServer

__all__ = ["ServerEngine"]

_MOST_VERSIONS = 1_000_000
_TIMEOUT_S = 60


class ServerEngine:
    """Implements ``Engine`` over qdrant-client."""

    is_exclusive = False

    def __init__(self, server: QdrantServer) -> None:
        """Connect; nothing is made."""
        self.location = str(server)
        self._collection = server.collection
        self._owned = server.client is None
        self._quantization: str | None = None
        self._client = _connect(server) if server.client is None else server.client

    @classmethod
    def create(cls, server: QdrantServer, schema: Schema, first: Sequence[Point]) -> ServerEngine:
        """Make a collection that holds ``first``, and open it.

        Raises:
            IndexStoreError: The collection is there already, or the server refuses.
            MissingExtraError: qdrant-client is not installed.
        """
        engine = cls(server)
        try:
            engine._refuse_existing()
            engine._make(schema)
            engine.upsert(first)
        except BaseException:
            engine.close()
            raise
        return engine

    @classmethod
    def open(cls, server: QdrantServer) -> ServerEngine:
        """Open a collection.

        Raises:
            IndexNotFoundError: There is no such collection.
            IndexStoreError: The server cannot be reached.
            MissingExtraError: qdrant-client is not installed.
        """
        engine = cls(server)
        try:
            if engine._exists():
                return engine
        except BaseException:
            engine.close()
            raise
        engine.close()
        raise IndexNotFoundError(f"there is no collection {server}; make one first.")

    def use_quantization(self, quantization: str | None) -> None:
        """Search by quantised copies."""
        self._quantization = quantization

    def upsert(self, points: Sequence[Point]) -> None:
        """See ``Engine``."""
        models = _models()
        made = [
            models.PointStruct(
                id=point.id,
                vector={name: rows.tolist() for name, rows in point.vectors.items()},
                payload=point.payload,
            )
            for point in points
        ]
        self._call("upsert", points=made, wait=True)

    def delete(self, ids: Sequence[str]) -> None:
        """See ``Engine``."""
        self._call("delete", points_selector=list(ids), wait=True)

    def delete_where(self, where: Where) -> None:
        """See ``Engine``."""
        selector = _models().FilterSelector(filter=_filter(where))
        self._call("delete", points_selector=selector, wait=True)

    def retrieve(self, ids: Sequence[str], *, vectors: Sequence[str] = ()) -> list[Point]:
        """See ``Engine``."""
        found = self._call("retrieve", ids=list(ids), with_vectors=list(vectors) or False)
        return [_point(record) for record in found]

    def scroll(
        self, where: Where, *, limit: int, after: str | None = None
    ) -> tuple[list[Point], str | None]:
        """See ``Engine``."""
        found, following = self._call(
            "scroll", scroll_filter=_filter(where), limit=limit, offset=after
        )
        return [_point(record) for record in found], None if following is None else str(following)

    def count(self, where: Where) -> int:
        """See ``Engine``."""
        return self._call("count", count_filter=_filter(where), exact=True).count

    def versions(self) -> dict[str, int]:
        """See ``Engine``."""
        pages = _filter(Where.equal(kind="page"))
        found = self._call(
            "facet", key="version", facet_filter=pages, limit=_MOST_VERSIONS, exact=True
        )
        return {str(hit.value): hit.count for hit in found.hits}

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
        filtered = _filter(where)
        prefetch = None
        if recall is not None:
            prefetch = _models().Prefetch(
                query=recall.vector.tolist(),
                using=recall.using,
                limit=recall.limit,
                filter=filtered,
            )
        found = self._call(
            "query_points",
            query=query.tolist(),
            using=TOKENS,
            prefetch=prefetch,
            query_filter=filtered,
            search_params=self._params(exact=exact),
            limit=limit,
            with_payload=False,
        )
        return [(str(hit.id), float(hit.score)) for hit in found.points]

    def flush(self) -> None:
        """Nothing to do: the server answers when its log is written."""

    def optimize(self) -> None:
        """Nothing to do: the server does it by itself."""

    def close(self) -> None:
        """See ``Engine``; a client of the caller's stays open."""
        if self._owned:
            self._client.close()

    def _exists(self) -> bool:
        return self._call("collection_exists")

    def _refuse_existing(self) -> None:
        if self._exists():
            raise IndexStoreError(
                f"collection {self.location} is there already; open it, or give another name."
            )

    def _make(self, schema: Schema) -> None:
        models = _models()
        stored = {"float16": models.Datatype.FLOAT16, "float32": models.Datatype.FLOAT32}
        flat = models.HnswConfigDiff(m=0)
        many = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
        scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99)
        quantised = {
            None: None,
            "int8": models.ScalarQuantization(scalar=scalar),
            "binary": models.BinaryQuantization(binary=models.BinaryQuantizationConfig()),
        }[schema.compression.quantization]
        vectors = {
            TOKENS: models.VectorParams(
                size=schema.dimension,
                distance=models.Distance.DOT,
                datatype=stored[schema.compression.vectors],
                multivector_config=many,
                hnsw_config=flat,
                quantization_config=quantised,
                on_disk=True,
            ),
            POOLED: models.VectorParams(
                size=schema.dimension,
                distance=models.Distance.DOT,
                datatype=models.Datatype.FLOAT16,
                multivector_config=many,
                hnsw_config=flat,
            ),
        }
        if schema.dense_dimension is not None:
            vectors[DENSE] = models.VectorParams(
                size=schema.dense_dimension, distance=models.Distance.DOT
            )
        self._call("create_collection", vectors_config=vectors)
        with warnings.catch_warnings():
            # The client's in-memory stand-in has no payload indexes and says so each time.
            warnings.filterwarnings("ignore", message="Payload indexes have no effect")
            for name, kind in INDEXED_FIELDS.items():
                self._call("create_payload_index", field_name=name, field_schema=kind)

    def _params(self, *, exact: bool) -> Any:  # noqa: ANN401  # the client's type
        models = _models()
        if self._quantization is None:
            return None
        if exact:
            return models.SearchParams(
                exact=True, quantization=models.QuantizationSearchParams(ignore=True)
            )
        rescored = models.QuantizationSearchParams(
            rescore=True, oversampling=OVERSAMPLING[self._quantization]
        )
        return models.SearchParams(quantization=rescored)

    def _call(self, method: str, **options: object) -> Any:  # noqa: ANN401  # what the method gives
        import qdrant_client.http.exceptions as raised

        call: Callable[..., Any] = getattr(self._client, method)
        try:
            return call(collection_name=self._collection, **options)
        except (raised.ApiException, ValueError, OSError) as error:
            reason = " ".join(str(error).split())[:300]
            raise IndexStoreError(
                f"collection {self.location}: the server refused {method} or cannot be reached "
                f"({type(error).__name__}: {reason})."
            ) from error


def _models() -> Any:  # noqa: ANN401  # a module
    try:
        from qdrant_client import models
    except ImportError as error:
        raise MissingExtraError(
            package="qdrant-client", extra="qdrant", purpose="an index on a Qdrant server"
        ) from error
    return models


def _connect(server: QdrantServer) -> QdrantClient:
    _models()
    from qdrant_client import QdrantClient

    return QdrantClient(url=server.url, api_key=server.api_key, timeout=_TIMEOUT_S)


def _filter(where: Where) -> Any:  # noqa: ANN401  # the client's type
    models = _models()
    return engine_filter(
        where,
        models=models,
        match_any=lambda texts: models.MatchAny(any=texts),
        number_range=models.Range,
    )


def _point(record: Any) -> Point:  # noqa: ANN401  # the client's type
    vectors = {name: np.asarray(rows, np.float32) for name, rows in (record.vector or {}).items()}
    return Point(str(record.id), record.payload or {}, vectors)
