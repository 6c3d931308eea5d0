"""Batches, cache, rate limit and events around an encoder, the same for texts and pages."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from llama_index.core import instrumentation
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from tqdm.auto import tqdm

from vdr_integrations.llama_index.embedding.vector_cache import VectorCache
from vdr_integrations.pages import PageStore
from vdr_integrations.retrieval.mixed_inputs import aencode_mixed, encode_mixed, label_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from vdr_integrations.encoders import DenseEncoder
    from vdr_integrations.llama_index.embedding.vdr_embedding import VDREmbedding
    from vdr_integrations.retrieval.mixed_inputs import MixedInput

    ToItem: TypeAlias = Callable[["_Source", "BatchEmbedder"], MixedInput]

__all__ = ["BatchEmbedder"]

Vector = list[float]
_Source = TypeVar("_Source")

# LlamaIndex's documentation imports it from here, although the module does not re-export it.
_dispatcher = instrumentation.get_dispatcher(__name__)  # pyright: ignore[reportPrivateImportUsage]

# One batch is encoded while the images of the next are read.
_DEFAULT_BATCHES_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class BatchEmbedder:
    """Embeds any number of inputs, in order.

    Attributes:
        model: Its cache, batch size, number of workers, rate limiter and observers are used.
        encoder: Computes the vectors.
    """

    model: VDREmbedding
    encoder: DenseEncoder

    @property
    def store(self) -> PageStore:
        """The store that references are looked up in."""
        return PageStore(self.model.page_store_path)

    def embed(
        self, sources: Sequence[_Source], to_item: ToItem[_Source], *, show_progress: bool
    ) -> list[Vector]:
        """Vectors of ``sources``, one batch after the other."""
        vectors: list[Vector] = []
        with tqdm(total=len(sources), desc="Embedding", disable=not show_progress) as bar:
            for some in self._batches(sources):
                vectors += self._embed_batch([to_item(source, self) for source in some])
                bar.update(len(some))
        return vectors

    async def aembed(
        self, sources: Sequence[_Source], to_item: ToItem[_Source], *, show_progress: bool
    ) -> list[Vector]:
        """:meth:`embed` without blocking the event loop; a failed batch cancels the others."""
        slots = asyncio.Semaphore(self.model.num_workers or _DEFAULT_BATCHES_AT_ONCE)

        def to_items(some: Sequence[_Source]) -> list[MixedInput]:
            return [to_item(source, self) for source in some]

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

    def _embed_batch(self, items: Sequence[MixedInput]) -> list[Vector]:
        with self._observed(items) as observed:
            known = self._cache.get(items)
            missing = [item for item, vector in zip(items, known, strict=True) if vector is None]
            new: list[Vector] = []
            if missing:
                if self.model.rate_limiter is not None:
                    self.model.rate_limiter.acquire()
                new = encode_mixed(self.encoder, missing)
                self._cache.put(missing, new)
            observed.extend(_filled(known, new))
        return observed

    async def _aembed_batch(self, items: Sequence[MixedInput]) -> list[Vector]:
        with self._observed(items) as observed:
            known = await self._cache.aget(items)
            missing = [item for item, vector in zip(items, known, strict=True) if vector is None]
            new: list[Vector] = []
            if missing:
                if self.model.rate_limiter is not None:
                    await self.model.rate_limiter.async_acquire()
                new = await aencode_mixed(self.encoder, missing)
                await self._cache.aput(missing, new)
            observed.extend(_filled(known, new))
        return observed

    @contextmanager
    def _observed(self, items: Sequence[MixedInput]) -> Generator[list[Vector]]:
        """Report one batch to LlamaIndex's observers: labels and vectors, never images."""
        payload = self.model.to_payload()
        labels = [label_of(item) for item in items]
        vectors: list[Vector] = []
        _dispatcher.event(EmbeddingStartEvent(model_dict=payload))
        with self.model.callback_manager.event(
            CBEventType.EMBEDDING, payload={EventPayload.SERIALIZED: payload}
        ) as event:
            yield vectors
            event.on_end(payload={EventPayload.CHUNKS: labels, EventPayload.EMBEDDINGS: vectors})
        _dispatcher.event(EmbeddingEndEvent(chunks=labels, embeddings=vectors))

    @property
    def _cache(self) -> VectorCache:
        store = self.model.embeddings_cache
        return VectorCache(store, fingerprint=self.encoder.fingerprint)

    def _batches(self, sources: Sequence[_Source]) -> list[Sequence[_Source]]:
        size = self.model.embed_batch_size
        return [sources[start : start + size] for start in range(0, len(sources), size)]


def _filled(known: Sequence[Vector | None], new: Sequence[Vector]) -> list[Vector]:
    rest = iter(new)
    return [next(rest) if vector is None else vector for vector in known]
