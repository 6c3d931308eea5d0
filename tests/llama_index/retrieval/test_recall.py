"""Dense recall before late interaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from llama_index.core.schema import QueryBundle
from PIL import Image
from tests.looks import watched_tower
from tests.pdfs import write_pdf

from vdr_integrations import DenseEncoder, load_encoder
from vdr_integrations.errors import IndexMismatchError, OptionError
from vdr_integrations.llama_index import LateInteractionRetriever, VDREmbedding

if TYPE_CHECKING:
    from pathlib import Path

    from llama_index.core.schema import BaseNode

    from vdr_integrations import MultiVectorEncoder, PageStore
    from vdr_integrations.index import LateInteractionIndex, QdrantServer
    from vdr_integrations.llama_index import PDFPageReader

pytestmark = pytest.mark.usefixtures("seen_pages")

QUERY = "How did revenue change?"


@pytest.fixture
def dense(tiny_checkpoint: Path) -> DenseEncoder:
    found = load_encoder(str(tiny_checkpoint), device="cpu", max_visual_tokens=64)
    assert isinstance(found, DenseEncoder)
    return found


@pytest.fixture
def both(
    nodes: list[BaseNode], encoder: MultiVectorEncoder, dense: DenseEncoder, server: QdrantServer
) -> LateInteractionIndex:
    """An index with both kinds of vectors."""
    made = LateInteractionRetriever.from_documents(
        nodes, index=server, encoder=encoder, recall=dense
    )
    late = made.searcher.index.late
    assert late is not None
    return late


def test_dense_vectors_are_stored_beside_the_others(
    both: LateInteractionIndex, dense: DenseEncoder, page_store: PageStore
) -> None:
    pages = both.get(both.page_ids(), with_vectors=True)
    assert len(pages) == 3
    for page in pages:
        assert page.dense is not None
        expected = dense.encode_pages([page_store.get(page.page_ref)])[0]
        np.testing.assert_allclose(page.dense, expected, atol=1e-3)


def test_pages_are_looked_at_once_for_both_kinds_of_vectors(
    nodes: list[BaseNode], server: QdrantServer
) -> None:
    dense = load_encoder("nano", device="cpu")
    late = load_encoder("nano-colqwen2", device="cpu")
    late.encode_pages([Image.new("RGB", (28, 28))])  # nothing is left to be made once
    dense.encode_queries(["a"])
    with watched_tower() as tower:
        LateInteractionRetriever.from_documents(nodes, index=server, encoder=late, recall=dense)
    assert tower.call_count == len(nodes)


def test_an_index_notes_what_loads_the_dense_model_again(
    nodes: list[BaseNode], encoder: MultiVectorEncoder, tiny_checkpoint: Path, server: QdrantServer
) -> None:
    recall = VDREmbedding(
        model_name=str(tiny_checkpoint), revision="v1", device="cpu", max_visual_tokens=64
    )
    made = LateInteractionRetriever.from_documents(
        nodes, index=server, encoder=encoder, recall=recall
    )
    manifest = made.searcher.index.dense_manifest
    assert manifest is not None
    assert (manifest.model, manifest.revision) == (str(tiny_checkpoint), "v1")


async def test_only_pages_that_the_dense_model_finds_are_compared(
    encoder: MultiVectorEncoder,
    dense: DenseEncoder,
    reader: PDFPageReader,
    tmp_path: Path,
    server: QdrantServer,
) -> None:
    pages = reader.load_data(
        write_pdf(tmp_path / "long.pdf", [f"Page {n} " * n for n in range(16)])
    )
    recalled = LateInteractionRetriever.from_documents(
        pages, index=server, encoder=encoder, recall=dense, similarity_top_k=1, candidates=5
    )
    index = recalled.searcher.index
    stored = index.get(index.page_ids(), with_vectors=True)
    matrix = np.stack([page.dense for page in stored if page.dense is not None])
    assert len(matrix) == 16
    texts = ["revenue", "costs"]
    for bundle, vector in (
        (QueryBundle(QUERY), dense.encode_queries([QUERY])[0]),
        (
            QueryBundle("", custom_embedding_strs=texts),
            dense.encode_queries(texts).mean(axis=0),
        ),
        (QueryBundle("", image_path=stored[9].page_ref), matrix[9]),
    ):
        found = {stored[place].page_id for place in np.argsort(matrix @ vector)[-5:]}
        everything = LateInteractionRetriever(index, encoder=encoder, similarity_top_k=16)
        best = next(hit for hit in everything.retrieve(bundle) if hit.node_id in found)
        for hits in (recalled.retrieve(bundle), await recalled.aretrieve(bundle)):
            assert [hit.node_id for hit in hits] == [best.node_id]


def test_an_embedding_recalls_what_its_encoder_recalls(
    both: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    dense: DenseEncoder,
    tiny_checkpoint: Path,
) -> None:
    embedding = VDREmbedding(model_name=str(tiny_checkpoint), device="cpu", max_visual_tokens=64)
    by_embedding, by_encoder = (
        LateInteractionRetriever(both, encoder=encoder, recall=recall, similarity_top_k=2).retrieve(
            QUERY
        )
        for recall in (embedding, dense)
    )
    assert len(by_embedding) == 2
    assert by_embedding == by_encoder


def test_scores_are_those_of_late_interaction(
    both: LateInteractionIndex, encoder: MultiVectorEncoder, dense: DenseEncoder
) -> None:
    plain = LateInteractionRetriever(both, encoder=encoder, similarity_top_k=3)
    recalled = LateInteractionRetriever(both, encoder=encoder, recall=dense, similarity_top_k=3)
    assert [(hit.node_id, hit.score) for hit in recalled.retrieve(QUERY)] == [
        (hit.node_id, hit.score) for hit in plain.retrieve(QUERY)
    ]


async def test_a_recall_that_does_not_fit_the_index_is_refused(
    both: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    dense: DenseEncoder,
    tiny_checkpoint: Path,
    nodes: list[BaseNode],
) -> None:
    other = VDREmbedding(model_name=str(tiny_checkpoint), device="cpu", max_visual_tokens=32)
    retriever = LateInteractionRetriever(both, encoder=encoder, recall=other)
    with pytest.raises(IndexMismatchError):
        retriever.retrieve(QUERY)
    with pytest.raises(IndexMismatchError):
        await retriever.aretrieve(QUERY)
    with pytest.raises(IndexMismatchError, match="dense vectors"):
        LateInteractionRetriever(both, encoder=encoder).add_nodes(nodes)
    with pytest.raises(OptionError, match="needs a dense vector"):
        LateInteractionRetriever(both, encoder=encoder, recall=dense).search_vectors(
            encoder.encode_queries([QUERY])[0]
        )
    with pytest.raises(OptionError, match="found str"):
        LateInteractionRetriever(both, encoder=encoder, recall="nano")  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match="exhaustive"):
        LateInteractionRetriever(both, encoder=encoder, recall=dense, exhaustive=True)


def test_an_index_without_dense_vectors_has_nothing_to_recall_by(
    retriever: LateInteractionRetriever, encoder: MultiVectorEncoder, dense: DenseEncoder
) -> None:
    other = LateInteractionRetriever(retriever.searcher.index, encoder=encoder, recall=dense)
    with pytest.raises(IndexMismatchError, match="without dense vectors"):
        other.retrieve(QUERY)
