"""Table A1 of the contract notes: options, aggregation, and the hooks of the base classes."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.embeddings import MultiModalEmbedding
from pydantic import ValidationError
from tests.llama_index.pictures import picture, png

from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index import VDREmbedding


def test_a_misspelt_option_is_refused() -> None:
    with pytest.raises(ValidationError, match="dimensions"):
        VDREmbedding(dimensions=3)  # pyright: ignore[reportCallIssue]  # the point


def test_the_small_model_is_never_chosen_silently() -> None:
    assert VDREmbedding().model_name == "llamaindex/vdr-2b-multi-v1"


def test_an_option_that_is_assigned_later_is_honoured(embedding: VDREmbedding) -> None:
    assert len(embedding.get_query_embedding("a question")) > 16
    embedding.dimension = 16
    assert len(embedding.get_query_embedding("a question")) == 16


def test_the_class_has_a_name_of_its_own() -> None:
    assert VDREmbedding.class_name() == "VDREmbedding"


async def test_several_queries_aggregate_to_a_vector_of_length_one(
    embedding: VDREmbedding,
) -> None:
    queries = ["How did revenue change?", "What did it cost?"]
    vector = embedding.get_agg_embedding_from_queries(queries)
    mean = np.mean([embedding.get_query_embedding(query) for query in queries], axis=0)
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)
    np.testing.assert_allclose(
        await embedding.aget_agg_embedding_from_queries(queries), vector, atol=1e-5
    )

    def first_of(vectors: list[list[float]]) -> list[float]:
        return vectors[0]

    first = embedding.get_agg_embedding_from_queries(queries, agg_fn=first_of)
    np.testing.assert_allclose(first, embedding.get_query_embedding(queries[0]), atol=1e-5)
    with pytest.raises(OptionError, match="no query"):
        embedding.get_agg_embedding_from_queries([])


async def test_the_hooks_of_the_base_classes_answer_as_the_public_methods(
    embedding: VDREmbedding,
) -> None:
    """Each method of a base class asks a hook of its own."""
    query, image = embedding.get_query_embedding("x"), embedding.get_image_embedding(picture())
    base, images = BaseEmbedding, MultiModalEmbedding
    assert base.get_query_embedding(embedding, "x") == query
    assert await base.aget_query_embedding(embedding, "x") == query
    assert base.get_text_embedding(embedding, "x") == query
    assert await base.aget_text_embedding(embedding, "x") == query
    assert base.get_text_embedding_batch(embedding, ["x"]) == [query]
    assert await base.aget_text_embedding_batch(embedding, ["x"]) == [query]
    buffer = BytesIO(png(picture()))
    assert images.get_image_embedding(embedding, buffer) == image
    assert await images.aget_image_embedding(embedding, buffer) == image
    assert images.get_image_embedding_batch(embedding, [buffer]) == [image]
    assert await images.aget_image_embedding_batch(embedding, [buffer]) == [image]
