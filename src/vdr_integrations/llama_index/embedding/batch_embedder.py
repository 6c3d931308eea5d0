"""Batches, caches, rate limits and events around an encoder, the same for texts and pages."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from llama_index.core import instrumentation
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
)
from tqdm.auto import tqdm

from vdr_integrations.llama_index.embedding.items import PageItem, TextItem

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    import numpy as np
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from numpy.typing import NDArray

    from vdr_integrations.encoders import DenseEncoder
    from vdr_integrations.llama_index.embedding.items import EmbeddingItem, ItemContext
    from vdr_integrations.llama_index.embedding.vector_cache import VectorCache

__all__ = ["BatchEmbedder"]

Vector = list[float]
_Source = TypeVar("_Source")

# LlamaIndex's documentation takes it from here, where it is imported without being re-exported.
_dispatcher = instrumentation.get_dispatcher(__name__)  # pyright: ignore[reportPrivateImportUsage]

# One batch is encoded while the images of the next are read.
_BATCHES_UNDER_WAY = 2


class _Batch:
    """Texts and pages in the order they were asked for; what is cached needs no encoder."""

    def __init__(self, items: Sequence[EmbeddingItem], cached: Sequence[Vector | None]) -> None:
        self._vectors = {at: vector for at, vector in enumerate(cached) if vector is not None}
        self._missing = {at: item for at, item in enumerate(items) if at not in self._vectors}
        self.missing = list(self._missing.values())
        self.texts = {at: i.text for at, i in self._missing.items() if isinstance(i, TextItem)}
        self.pages = {at: i.load for at, i in self._missing.items() if isinstance(i, PageItem)}

    def give(self, places: Sequence[int], vectors: NDArray[np.float32]) -> None:
        self._vectors.update(zip(places, vectors.tolist(), strict=True))

    @property
    def missing_vectors(self) -> list[Vector]:
        return [self._vectors[at] for at in self._missing]

    @property
    def vectors(self) -> list[Vector]:
        return [self._vectors[at] for at in range(len(self._vectors))]


@dataclass(frozen=True, slots=True)
class BatchEmbedder:
    """Embeds any number of inputs, in order.

    Attributes:
        model: Whose batch size, workers, rate limiter and observers are used.
        encoder: Gives the vectors.
        cache: Asked first.
        context: What inputs are turned into items with.
    """

    model: BaseEmbedding
    encoder: DenseEncoder
    cache: VectorCache
    context: ItemContext

    def embed(
        self,
        sources: Sequence[_Source],
        to_item: Callable[[_Source, ItemContext], EmbeddingItem],
        *,
        show_progress: bool,
    ) -> list[Vector]:
        """Vectors of ``sources``, one batch after the other."""
        vectors: list[Vector] = []
        with tqdm(total=len(sources), desc="Embedding", disable=not show_progress) as bar:
            for some in self._batches(sources):
                vectors += self._embed_batch([to_item(source, self.context) for source in some])
                bar.update(len(some))
        return vectors

    async def aembed(
        self,
        sources: Sequence[_Source],
        to_item: Callable[[_Source, ItemContext], EmbeddingItem],
        *,
        show_progress: bool,
    ) -> list[Vector]:
        """:meth:`embed` without blocking the event loop; a failed batch ends the others."""
        slots = asyncio.Semaphore(self.model.num_workers or _BATCHES_UNDER_WAY)

        def to_items(some: Sequence[_Source]) -> list[EmbeddingItem]:
            return [to_item(source, self.context) for source in some]

        with tqdm(total=len(sources), desc="Embedding", disable=not show_progress) as bar:

            async def embed_batch(some: Sequence[_Source]) -> list[Vector]:
                async with slots:
                    vectors = await self._aembed_batch(await asyncio.to_thread(to_items, some))
                bar.update(len(some))
                return vectors

            tasks = [asyncio.create_task(embed_batch(some)) for some in self._batches(sources)]
            try:
                results = await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        return [vector for vectors in results for vector in vectors]

    def _embed_batch(self, items: Sequence[EmbeddingItem]) -> list[Vector]:
        with self._observed(items) as observed:
            batch = _Batch(items, self.cache.get(items))
            if batch.missing:
                if self.model.rate_limiter is not None:
                    self.model.rate_limiter.acquire()
                if batch.texts:
                    texts = list(batch.texts.values())
                    batch.give([*batch.texts], self.encoder.encode_queries(texts))
                if batch.pages:
                    pages = [load() for load in batch.pages.values()]
                    batch.give([*batch.pages], self.encoder.encode_pages(pages))
                self.cache.put(batch.missing, batch.missing_vectors)
            observed.extend(batch.vectors)
        return observed

    async def _aembed_batch(self, items: Sequence[EmbeddingItem]) -> list[Vector]:
        with self._observed(items) as observed:
            batch = _Batch(items, await self.cache.aget(items))
            if batch.missing:
                if self.model.rate_limiter is not None:
                    await self.model.rate_limiter.async_acquire()
                if batch.texts:
                    texts = list(batch.texts.values())
                    batch.give([*batch.texts], await self.encoder.aencode_queries(texts))
                if batch.pages:
                    loads = list(batch.pages.values())
                    pages = await asyncio.to_thread(lambda: [load() for load in loads])
                    batch.give([*batch.pages], await self.encoder.aencode_pages(pages))
                await self.cache.aput(batch.missing, batch.missing_vectors)
            observed.extend(batch.vectors)
        return observed

    @contextmanager
    def _observed(self, items: Sequence[EmbeddingItem]) -> Generator[list[Vector]]:
        """Report one batch to LlamaIndex's observers: labels and vectors, never images."""
        payload = self.model.to_payload()
        labels = [item.label for item in items]
        vectors: list[Vector] = []
        _dispatcher.event(EmbeddingStartEvent(model_dict=payload))
        with self.model.callback_manager.event(
            CBEventType.EMBEDDING, payload={EventPayload.SERIALIZED: payload}
        ) as event:
            yield vectors
            event.on_end(payload={EventPayload.CHUNKS: labels, EventPayload.EMBEDDINGS: vectors})
        _dispatcher.event(EmbeddingEndEvent(chunks=labels, embeddings=vectors))

    def _batches(self, sources: Sequence[_Source]) -> list[Sequence[_Source]]:
        size = self.model.embed_batch_size
        return [sources[start : start + size] for start in range(0, len(sources), size)]
