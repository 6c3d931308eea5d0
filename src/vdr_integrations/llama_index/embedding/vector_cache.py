"""Vectors kept in a LlamaIndex key-value store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vdr_integrations.retrieval.mixed_inputs import cache_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llama_index.core.storage.kvstore.types import BaseKVStore

    from vdr_integrations.retrieval.mixed_inputs import MixedInput

__all__ = ["VectorCache"]

Vector = list[float]

# Not LlamaIndex's own "embeddings": its keys are bare strings, shared by queries, documents and
# all models that use the store.
_COLLECTION = "vdr_integrations"
_FIELD = "vector"


class VectorCache:
    """Vectors by encoder fingerprint, kind and content: each is returned for its own input only.

    Args:
        store: Key-value store for the vectors; None keeps none.
        fingerprint: Fingerprint of the encoder, see ``DenseEncoder.fingerprint``.
    """

    def __init__(self, store: BaseKVStore | None, *, fingerprint: str) -> None:
        self._store = store
        self._fingerprint = fingerprint

    def get(self, inputs: Sequence[MixedInput]) -> list[Vector | None]:
        """Vectors in order; None for an input that has none yet."""
        if self._store is None:
            return [None] * len(inputs)
        return [_vector(self._store.get(self._key(item), _COLLECTION)) for item in inputs]

    async def aget(self, inputs: Sequence[MixedInput]) -> list[Vector | None]:
        """:meth:`get` through the store's own async methods."""
        if self._store is None:
            return [None] * len(inputs)
        return [_vector(await self._store.aget(self._key(item), _COLLECTION)) for item in inputs]

    def put(self, inputs: Sequence[MixedInput], vectors: Sequence[Vector]) -> None:
        """Keep vectors, one for each input."""
        if self._store is not None:
            for item, vector in zip(inputs, vectors, strict=True):
                self._store.put(self._key(item), {_FIELD: vector}, _COLLECTION)

    async def aput(self, inputs: Sequence[MixedInput], vectors: Sequence[Vector]) -> None:
        """:meth:`put` through the store's own async methods."""
        if self._store is not None:
            for item, vector in zip(inputs, vectors, strict=True):
                await self._store.aput(self._key(item), {_FIELD: vector}, _COLLECTION)

    def _key(self, item: MixedInput) -> str:
        return f"{self._fingerprint}:{cache_key(item)}"


def _vector(entry: dict[str, Any] | None) -> Vector | None:
    return None if entry is None else entry[_FIELD]
