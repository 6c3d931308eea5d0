"""Table A1 of the contract notes: what the strings that LlamaIndex hands over stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from llama_index.core.schema import TextNode
from tests.half_pairs import HALF_PAIRS, REFUSED
from tests.llama_index.pictures import UNKNOWN_REF, picture

from vdr_integrations import DenseEncoder, PageImage, PageStore
from vdr_integrations.errors import OptionError, PageReferenceError
from vdr_integrations.llama_index import PDFPageReader, VDREmbedding

if TYPE_CHECKING:
    from pathlib import Path

    from tests.llama_index.conftest import Encoded


def refs_of(reader: PDFPageReader, path: Path) -> list[str]:
    return [document.metadata["page_ref"] for document in reader.load_data(path)]


async def test_every_method_gives_the_same_vector_for_the_same_page(
    embedding: VDREmbedding, page_store: PageStore
) -> None:
    ref = page_store.put(PageImage(picture()))
    path = str(page_store.path(ref))
    vectors = [
        embedding.get_text_embedding(str(ref)),
        await embedding.aget_text_embedding(str(ref)),
        embedding.get_text_embedding_batch([str(ref)])[0],
        (await embedding.aget_text_embedding_batch([str(ref)]))[0],
        embedding.get_image_embedding(path),
        await embedding.aget_image_embedding(path),
        embedding.get_image_embedding_batch([path])[0],
        (await embedding.aget_image_embedding_batch([path]))[0],
    ]
    assert all(vector == vectors[0] for vector in vectors)
    assert all(type(component) is float for component in vectors[0])
    assert np.linalg.norm(vectors[0]) == pytest.approx(1.0, abs=1e-5)


async def test_vectors_are_those_of_the_encoder(
    embedding: VDREmbedding, reader: PDFPageReader, page_store: PageStore, report: Path
) -> None:
    encoder = DenseEncoder.load(
        embedding.model_name, device="cpu", dtype="float32", max_visual_tokens=64
    )
    refs = refs_of(reader, report)
    pages = encoder.encode_pages([page_store.get(ref) for ref in refs])
    query = encoder.encode_queries(["How did revenue change?"])[0]
    assert embedding.get_text_embedding_batch(refs) == pages.tolist()
    assert embedding.get_query_embedding("How did revenue change?") == query.tolist()
    assert await embedding.aget_query_embedding("How did revenue change?") == query.tolist()


async def test_references_and_texts_in_one_batch_keep_their_order(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path, encoded: Encoded
) -> None:
    first, second, third = refs_of(reader, report)
    mixed = ["a text", third, "another text", first, second, "a text"]
    together = embedding.get_text_embedding_batch(mixed)
    assert (encoded.queries, encoded.pages) == ([3], [3])
    alone = [embedding.get_text_embedding(text) for text in mixed]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(await embedding.aget_text_embedding_batch(mixed), alone, atol=1e-5)


def test_a_query_that_looks_like_a_reference_is_text(
    embedding: VDREmbedding, page_store: PageStore
) -> None:
    ref = str(page_store.put(PageImage(picture())))
    assert embedding.get_query_embedding(ref) != embedding.get_text_embedding(ref)
    embedding.get_query_embedding(UNKNOWN_REF)


def test_a_text_that_mentions_a_reference_or_a_path_is_text(
    embedding: VDREmbedding, page_store: PageStore
) -> None:
    ref = page_store.put(PageImage(picture()))
    for text in [f"see {ref}", str(page_store.path(ref)), "https://example.org/a.png"]:
        assert embedding.get_text_embedding(text) == embedding.get_query_embedding(text)


def test_a_reference_that_is_not_stored_is_refused(embedding: VDREmbedding) -> None:
    with pytest.raises(PageReferenceError, match=UNKNOWN_REF):
        embedding.get_text_embedding(UNKNOWN_REF)


def test_a_reference_with_metadata_behind_it_is_refused(
    embedding: VDREmbedding, page_store: PageStore
) -> None:
    ref = page_store.put(PageImage(picture()))
    with pytest.raises(OptionError, match="excluded_embed_metadata_keys"):
        embedding.get_text_embedding(f"{ref}\nRevenue report")


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_refused_because_all_would_share_one_vector(
    embedding: VDREmbedding, text: str
) -> None:
    with pytest.raises(OptionError, match="empty text"):
        embedding.get_text_embedding(text)


async def test_no_input_gives_no_vectors_and_loads_no_model() -> None:
    embedding = VDREmbedding(model_name="nobody/nothing")
    assert embedding.get_text_embedding_batch([]) == []
    assert await embedding.aget_text_embedding_batch([]) == []
    assert embedding.get_image_embedding_batch([]) == []
    assert await embedding.aget_image_embedding_batch([]) == []
    assert embedding([]) == []
    assert await embedding.acall([]) == []


def test_more_inputs_than_a_batch_go_through_in_batches_and_in_order(
    embedding: VDREmbedding, encoded: Encoded
) -> None:
    embedding.embed_batch_size = 2
    texts = ["one", "two", "three", "four", "five"]
    vectors = embedding.get_text_embedding_batch(texts, show_progress=True)
    assert encoded.queries == [2, 2, 1]
    np.testing.assert_allclose(
        vectors, [embedding.get_query_embedding(text) for text in texts], atol=1e-5
    )


@pytest.mark.parametrize("text", HALF_PAIRS.values(), ids=HALF_PAIRS)
async def test_half_a_surrogate_pair_is_refused_by_its_place(
    embedding: VDREmbedding, text: str
) -> None:
    many = ["costs"] * (embedding.embed_batch_size + 1) + [text]
    place = rf"texts\[{len(many) - 1}\] {REFUSED}"
    with pytest.raises(OptionError, match=REFUSED):
        embedding.get_query_embedding(text)
    with pytest.raises(OptionError, match=REFUSED):
        await embedding.aget_query_embedding(text)
    with pytest.raises(OptionError, match=REFUSED):
        embedding.get_text_embedding(text)
    with pytest.raises(OptionError, match=REFUSED):
        await embedding.aget_text_embedding(text)
    with pytest.raises(OptionError, match=place):
        embedding.get_text_embedding_batch(many)
    with pytest.raises(OptionError, match=place):
        await embedding.aget_text_embedding_batch(many)
    with pytest.raises(OptionError, match=place):
        embedding.get_agg_embedding_from_queries(many)
    with pytest.raises(OptionError, match=place):
        await embedding.aget_agg_embedding_from_queries(many)
    with pytest.raises(OptionError, match=f"the text of node n7 {REFUSED}"):
        embedding([TextNode(text="costs"), TextNode(id_="n7", text=text)])
    assert embedding.get_query_embedding("\N{GRINNING FACE}")
