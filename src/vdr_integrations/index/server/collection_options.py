"""How a collection is made, and whether an existing one was made like that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import IndexMismatchError, IndexStoreError
from vdr_integrations.index.server.calls import client_models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdr_integrations.index.index_settings import Settings
    from vdr_integrations.index.server.qdrant_server import QdrantServer

__all__ = [
    "CODES",
    "DENSE",
    "TOKENS",
    "new_collection",
    "quantization_of",
    "refuse_existing",
    "refuse_made",
]

TOKENS = "tokens"
DENSE = "dense"
CODES = "codes"
"""The sparse vector of a page: 1 for each centroid to which a token is assigned."""
_OF_COLLECTION = ("shard_number", "replication_factor", "write_consistency_factor")


def new_collection(server: QdrantServer, settings: Settings) -> dict[str, Any]:
    """Arguments of the client's ``create_collection``.

    Args:
        server: Its options; the server decides what is None there.
        settings: Settings of the index.
    """
    models = client_models()
    flat = models.HnswConfigDiff(m=0)  # no graph: all pages are compared
    vectors: dict[str, Any] = {}
    sparse: dict[str, Any] | None = None
    if settings.tokens is not None:
        half = settings.compression.vectors == "float16"
        vectors[TOKENS] = models.VectorParams(
            size=settings.tokens.dimension,
            distance=models.Distance.DOT,
            datatype=models.Datatype.FLOAT16 if half else models.Datatype.FLOAT32,
            multivector_config=models.MultiVectorConfig(
                comparator=models.MultiVectorComparator.MAX_SIM
            ),
            hnsw_config=flat,
            on_disk=server.on_disk is not False,
            quantization_config=_small_copy(server),
        )
        sparse = {
            CODES: models.SparseVectorParams(
                modifier=models.Modifier.IDF,
                index=models.SparseIndexParams(on_disk=True) if server.on_disk else None,
            )
        }
    if settings.dense is not None:
        vectors[DENSE] = models.VectorParams(
            size=settings.dense.dimension,
            distance=models.Distance.DOT,
            hnsw_config=flat,
            on_disk=True if server.on_disk else None,
        )
    found: dict[str, Any] = {"vectors_config": vectors, "sparse_vectors_config": sparse}
    for name in _OF_COLLECTION:
        if getattr(server, name) is not None:
            found[name] = getattr(server, name)
    return found


def quantization_of(config: Any) -> str | None:  # noqa: ANN401  # the client's type
    """How the server rounds the token vectors of a collection beside the vectors themselves.

    "int8", the client's name of another way, or None if there is no such copy. A server can have a
    way of its own for all collections.
    """
    vectors: dict[str, Any] = config.params.vectors or {}
    if TOKENS not in vectors:
        return None
    found = vectors[TOKENS].quantization_config or config.quantization_config
    if found is None:
        return None
    is_int8 = isinstance(found, client_models().ScalarQuantization)
    return "int8" if is_int8 else type(found).__name__


def refuse_existing(server: QdrantServer, config: Any) -> None:  # noqa: ANN401  # the client's type
    """Refuse options that an existing collection does not have.

    Args:
        server: Its options; those that are None fit any collection.
        config: ``CollectionConfig`` of the client.

    Raises:
        IndexMismatchError: Some differ; the message names all of them.
    """
    wrong = list(_differing(server, config))
    if wrong:
        raise IndexMismatchError(
            f"collection {server} has other options: {'; '.join(wrong)}. They are chosen when a "
            f"collection is made. Leave them out to use it as it is, change it on the server, or "
            f"index into a new collection."
        )


def refuse_made(server: QdrantServer, config: Any) -> None:  # noqa: ANN401  # the client's type
    """Refuse a new collection that the server made in another way; see :func:`refuse_existing`.

    Raises:
        IndexStoreError: Some options differ.
    """
    wrong = list(_differing(server, config))
    if wrong:
        raise IndexStoreError(
            f"collection {server}: the server did not make it as asked: {'; '.join(wrong)}. The "
            f"in-process mode of qdrant-client has neither shards nor replicas, and an old server "
            f"may not know an option; leave it out, or use another server."
        )


def _differing(server: QdrantServer, config: Any) -> Iterator[str]:  # noqa: ANN401  # the client's type
    """What was asked and what was found, for each option that differs."""
    found: dict[str, object] = {name: getattr(config.params, name) for name in _OF_COLLECTION}
    found["on_disk"] = _on_disk(server, config.params)
    found["quantization"] = quantization_of(config)
    for name, value in found.items():
        asked = getattr(server, name)
        if asked is not None and asked != value:
            yield f"{name} is {value!r}, not {asked!r}"


def _small_copy(server: QdrantServer) -> Any:  # noqa: ANN401  # the client's type
    if server.quantization is None:
        return None
    models = client_models()
    scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
    return models.ScalarQuantization(scalar=scalar)


def _on_disk(server: QdrantServer, params: Any) -> bool | None:  # noqa: ANN401  # the client's type
    """Whether all vectors are on disk; None if some are, and some are not."""
    places = {_is_cold(one) for one in (params.vectors or {}).values()}
    if server.on_disk:
        places |= {_is_cold(one.index) for one in (params.sparse_vectors or {}).values()}
    return places.pop() if len(places) == 1 else None


def _is_cold(params: Any) -> bool:  # noqa: ANN401  # the client's type
    """Whether a vector or an index stays on disk; newer servers say so with ``memory``."""
    if params is None:
        return False
    memory = getattr(params, "memory", None)
    if memory is not None:
        return memory == client_models().Memory.COLD
    return bool(params.on_disk)
