"""Table A1 of the contract notes: caches, rate limits, and async calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pytest
from llama_index.core.rate_limiter import BaseRateLimiter
from llama_index.core.storage.kvstore import SimpleKVStore
from tests.llama_index.pictures import UNKNOWN_REF, picture
from tests.patience import HANG_S, LoopTurns

from vdr_integrations import DenseEncoder, PageImage, PageStore
from vdr_integrations.encoders.forward.backbone import Backbone
from vdr_integrations.errors import PageReferenceError
from vdr_integrations.llama_index import VDREmbedding

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from tests.llama_index.conftest import Encoded


async def test_a_cached_document_is_never_given_for_a_query(
    embedding: VDREmbedding, page_store: PageStore, encoded: Encoded
) -> None:
    ref = str(page_store.put(PageImage(picture())))
    page, query = embedding.get_text_embedding(ref), embedding.get_query_embedding(ref)
    embedding.embeddings_cache = SimpleKVStore()
    for _ in range(2):
        assert embedding.get_text_embedding(ref) == page
        assert embedding.get_query_embedding(ref) == query
        assert await embedding.aget_text_embedding(ref) == page
        assert (await embedding.aget_text_embedding_batch([ref]))[0] == page
        assert embedding.get_image_embedding(picture()) == page
    assert (encoded.queries, encoded.pages) == ([1, 1], [1, 1])


def test_models_that_share_a_cache_do_not_share_vectors(
    embedding: VDREmbedding, tiny_checkpoint: Path
) -> None:
    cache = SimpleKVStore()
    embedding.embeddings_cache = cache
    short = VDREmbedding(
        model_name=embedding.model_name, device="cpu", dimension=16, embeddings_cache=cache
    )
    assert len(embedding.get_text_embedding("invoice")) > 16
    assert len(short.get_text_embedding("invoice")) == 16
    assert len(embedding.get_text_embedding("invoice")) > 16


def test_a_cache_that_is_no_key_value_store_is_refused() -> None:
    with pytest.raises(TypeError, match="BaseKVStore"):
        VDREmbedding(embeddings_cache={})


class Turnstile(BaseRateLimiter):
    def __init__(self) -> None:
        self.passed: list[str] = []

    def acquire(self, num_tokens: int = 0) -> None:
        self.passed.append("sync")

    async def async_acquire(self, num_tokens: int = 0) -> None:
        self.passed.append("async")


async def test_a_rate_limiter_is_asked_once_a_batch_for_texts_and_images(
    embedding: VDREmbedding,
) -> None:
    turnstile = Turnstile()
    embedding.rate_limiter = turnstile
    embedding.embed_batch_size = 2
    embedding.get_text_embedding_batch(["one", "two", "three"])
    embedding.get_image_embedding(picture())
    assert turnstile.passed == ["sync"] * 3
    await embedding.aget_image_embedding_batch([picture(), picture(), picture()])
    assert turnstile.passed == ["sync"] * 3 + ["async"] * 2


class Gate(BaseRateLimiter):
    """Opens when ``size`` batches have come, and counts how many there are at once."""

    def __init__(self, size: int) -> None:
        self.barrier = asyncio.Barrier(size)
        self.under_way = 0
        self.most = 0

    def acquire(self, num_tokens: int = 0) -> None:
        raise NotImplementedError

    async def async_acquire(self, num_tokens: int = 0) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.barrier.wait()
        self.under_way -= 1


@pytest.mark.parametrize(("num_workers", "most"), [(1, 1), (3, 3), (None, 2)])
async def test_num_workers_is_how_many_batches_are_under_way(
    embedding: VDREmbedding, num_workers: int | None, most: int
) -> None:
    gate = Gate(most)
    embedding.rate_limiter = gate
    embedding.num_workers = num_workers
    embedding.embed_batch_size = 1
    images = [picture(colour) for colour in ["red", "green", "blue", "white", "black", "teal"]]
    async with asyncio.timeout(HANG_S):
        vectors = await embedding.aget_image_embedding_batch(images, show_progress=True)
    assert gate.most == most
    embedding.rate_limiter = None
    alone = [embedding.get_image_embedding(image) for image in images]
    np.testing.assert_allclose(vectors, alone, atol=1e-5)


async def test_async_calls_leave_the_event_loop_free(embedding: VDREmbedding) -> None:
    turns = LoopTurns()
    embedding.embed_batch_size = 2
    with (
        mock.patch.object(Backbone, "pages", turns.needed_by(Backbone.pages)),
        mock.patch.object(Backbone, "queries", turns.needed_by(Backbone.queries)),
    ):
        await embedding.aget_image_embedding_batch([picture() for _ in range(4)])
        await embedding.aget_text_embedding_batch(["one", "two", "three"])
    assert set(turns.during) == {"pages", "queries"}


async def test_a_failed_batch_ends_the_others(embedding: VDREmbedding, encoded: Encoded) -> None:
    go_on = asyncio.Event()
    aencode_queries = DenseEncoder.aencode_queries

    async def held(*arguments: Any, **options: Any) -> NDArray[np.float32]:
        await go_on.wait()
        return await aencode_queries(*arguments, **options)

    embedding.embed_batch_size = 1
    with mock.patch.object(DenseEncoder, "aencode_queries", held):
        async with asyncio.timeout(HANG_S):
            with pytest.raises(PageReferenceError):
                await embedding.aget_text_embedding_batch([UNKNOWN_REF, *["a text"] * 50])
            go_on.set()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*others, return_exceptions=True)
    assert encoded.queries == []
