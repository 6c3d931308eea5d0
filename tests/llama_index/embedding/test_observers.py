"""Table A1 of the contract notes: what callbacks, events and spans see."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.embeddings.utils import resolve_embed_model
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
)
from tests.llama_index.pictures import UNKNOWN_REF, picture, png

from vdr_integrations import PageImage, PageStore
from vdr_integrations.errors import PageReferenceError
from vdr_integrations.llama_index import VDREmbedding

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.llama_index.conftest import Observed


async def test_events_are_alike_for_texts_and_images_and_hold_labels_only(
    embedding: VDREmbedding, page_store: PageStore, observed: Observed
) -> None:
    ref = str(page_store.put(PageImage(picture())))
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: embedding.get_query_embedding("a question"), "a question"),
        (lambda: embedding.get_text_embedding(ref), ref),
        (lambda: embedding.get_image_embedding(BytesIO(png(picture()))), "image"),
        (lambda: embedding.aget_query_embedding("a question"), "a question"),
        (lambda: embedding.aget_text_embedding_batch([ref]), ref),
        (lambda: embedding.aget_image_embedding_batch([png(picture())]), "image"),
    ]
    for call, label in calls:
        observed.events.clear()
        result = call()
        if asyncio.iscoroutine(result):
            await result
        start, end = observed.events
        assert isinstance(start, EmbeddingStartEvent)
        assert isinstance(end, EmbeddingEndEvent)
        assert start.model_dict["class_name"] == "VDREmbedding"
        assert end.chunks == [label]
        assert len(end.embeddings) == 1
    seen = " ".join(map(repr, observed.span_arguments))
    assert "BytesIO" not in seen
    assert "PNG" not in seen


async def test_a_token_counter_survives_images(embedding: VDREmbedding) -> None:
    counter = TokenCountingHandler(tokenizer=str.split)
    embedding.callback_manager = CallbackManager([counter])
    embedding.get_image_embedding(BytesIO(png(picture())))
    await embedding.aget_image_embedding_batch([png(picture()), picture()])
    assert [event.prompt for event in counter.embedding_token_counts] == ["image"] * 3


def test_a_failed_batch_reaches_the_callbacks_and_the_caller(embedding: VDREmbedding) -> None:
    counter = TokenCountingHandler(tokenizer=str.split)
    embedding.callback_manager = CallbackManager([counter])
    with pytest.raises(PageReferenceError):
        embedding.get_text_embedding(UNKNOWN_REF)
    assert counter.embedding_token_counts == []


def test_resolving_the_model_keeps_it_and_sets_its_callbacks(embedding: VDREmbedding) -> None:
    callbacks = CallbackManager([])
    assert resolve_embed_model(embedding, callback_manager=callbacks) is embedding
    assert embedding.callback_manager is callbacks


def test_telemetry_payload_holds_no_secret() -> None:
    embedding = VDREmbedding(token="hf_secret")  # pyright: ignore[reportArgumentType]  # pydantic
    assert "hf_secret" not in repr(embedding.to_payload()) + repr(embedding)
