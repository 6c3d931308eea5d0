"""Batches, caches, rate limits and events around an encoder, the same for texts and pages."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tqdm.auto import tqdm

from vdr_integrations.llama_index.embedding.events import embedding_event
from vdr_integrations.llama_index.embedding.item_batch import ItemBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llama_index.core.base.embeddings.base import BaseEmbedding

    from vdr_integrations.encoders import DenseEncoder
    from vdr_integrations.llama_index.embedding.items import EmbeddingItem, ItemContext
    from vdr_integrations.llama_index.embedding.vector_cache import VectorCache

__all__ = ["Embedder"]

Vector = list[float]
_Source = TypeVar("_Source")

# One batch is encoded while the images of the next are read.
_BATCHES_UNDER_WAY = 2


@dataclass(frozen=True, slots=True)
class Embedder:
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
            for batch in self._batches(sources):
                vectors += self._embed_batch(self._items(batch, to_item))
                bar.update(len(batch))
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
        with tqdm(total=len(sources), desc="Embedding", disable=not show_progress) as bar:

            async def embed_batch(batch: Sequence[_Source]) -> list[Vector]:
                async with slots:
                    items = await asyncio.to_thread(self._items, batch, to_item)
                    vectors = await self._aembed_batch(items)
                bar.update(len(batch))
                return vectors

            tasks = [asyncio.create_task(embed_batch(batch)) for batch in self._batches(sources)]
            try:
                results = await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        return [vector for vectors in results for vector in vectors]

    def _embed_batch(self, items: Sequence[EmbeddingItem]) -> list[Vector]:
        with embedding_event(self.model, [item.label for item in items]) as observed:
            batch = ItemBatch(items, self.cache.get(items))
            if batch.missing:
                if self.model.rate_limiter is not None:
                    self.model.rate_limiter.acquire()
                if batch.texts:
                    batch.give_texts(self.encoder.encode_queries(batch.texts))
                if batch.has_pages:
                    batch.give_pages(self.encoder.encode_pages(batch.load_pages()))
                self.cache.put(batch.missing, batch.missing_vectors)
            observed.extend(batch.vectors())
        return batch.vectors()

    async def _aembed_batch(self, items: Sequence[EmbeddingItem]) -> list[Vector]:
        with embedding_event(self.model, [item.label for item in items]) as observed:
            batch = ItemBatch(items, await self.cache.aget(items))
            if batch.missing:
                if self.model.rate_limiter is not None:
                    await self.model.rate_limiter.async_acquire()
                if batch.texts:
                    batch.give_texts(await self.encoder.aencode_queries(batch.texts))
                if batch.has_pages:
                    pages = await asyncio.to_thread(batch.load_pages)
                    batch.give_pages(await self.encoder.aencode_pages(pages))
                await self.cache.aput(batch.missing, batch.missing_vectors)
            observed.extend(batch.vectors())
        return batch.vectors()

    def _items(
        self,
        sources: Sequence[_Source],
        to_item: Callable[[_Source, ItemContext], EmbeddingItem],
    ) -> list[EmbeddingItem]:
        return [to_item(source, self.context) for source in sources]

    def _batches(self, sources: Sequence[_Source]) -> list[Sequence[_Source]]:
        size = self.model.embed_batch_size
        return [sources[start : start + size] for start in range(0, len(sources), size)]
