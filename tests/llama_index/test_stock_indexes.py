"""Table A3 of the contract notes: pages in stock indexes, their queries and stores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from llama_index.core import (
    QueryBundle,
    Settings,
    StorageContext,
    VectorStoreIndex,
    load_index_from_storage,
)
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import (
    Document,
    ImageNode,
    MetadataMode,
)
from tests.llama_index.indexes import assert_embedded_as_pages, page_index, stored_vectors
from tests.pdfs import write_pdf

from vdr_integrations.errors import OptionError
from vdr_integrations.llama_index import PDFPageNodeParser, PDFPageReader, VDREmbedding

if TYPE_CHECKING:
    from tests.llama_index.conftest import Encoded


# --- 1 to 6: pages that are skipped, or embedded as text --------------------------------------


@pytest.mark.parametrize("texts", [["Revenue", "Costs"], ["", "Costs"]])
def test_from_documents_embeds_every_page_as_its_image(
    embedding: VDREmbedding,
    reader: PDFPageReader,
    tmp_path: Path,
    encoded: Encoded,
    capsys: pytest.CaptureFixture[str],
    *,
    texts: list[str],
) -> None:
    documents = reader.load_data(write_pdf(tmp_path / "a.pdf", texts))
    index = page_index(documents, embedding)
    assert (encoded.queries, encoded.pages) == ([], [len(texts)])
    assert "missing content" not in capsys.readouterr().out
    assert_embedded_as_pages(index, documents, embedding)


async def test_inserted_nodes_are_embedded_as_their_images(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path
) -> None:
    documents = reader.load_data(report)
    for embed_first in (False, True):
        index = VectorStoreIndex([], embed_model=embedding)
        nodes = PDFPageNodeParser()(documents)
        if embed_first:
            embedding(nodes)
        index.insert_nodes(nodes[:1])
        await index.ainsert_nodes(nodes[1:])
        assert_embedded_as_pages(index, documents, embedding)


def test_image_nodes_without_content_are_refused_when_inserted_as_text(
    embedding: VDREmbedding, report: Path
) -> None:
    index = VectorStoreIndex([], embed_model=embedding)
    with pytest.raises(OptionError, match="empty text"):
        index.insert_nodes([ImageNode(image_path="a.png")])


def test_page_documents_in_a_text_splitter_still_give_the_vectors_of_their_pages(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path, encoded: Encoded
) -> None:
    documents = reader.load_data(report)
    index = VectorStoreIndex.from_documents(
        documents, transformations=[SentenceSplitter()], embed_model=embedding
    )
    assert (encoded.queries, encoded.pages) == ([], [3])
    assert_embedded_as_pages(index, documents, embedding)


def test_content_is_right_in_every_mode(reader: PDFPageReader, report: Path) -> None:
    documents = reader.load_data(report)
    for document in documents:
        (node,) = PDFPageNodeParser()([document])
        ref = document.metadata["page_ref"]
        citation = f"report.pdf, page {document.metadata['page_label']} of 3"
        text = f"{citation}\n\n{document.metadata['page_text'].strip()}"
        assert document.text == document.get_content(metadata_mode=MetadataMode.LLM) == citation
        assert document.get_content(metadata_mode=MetadataMode.EMBED) == ref
        assert ref in document.get_content(metadata_mode=MetadataMode.ALL)
        assert node.get_content(metadata_mode=MetadataMode.EMBED) == ref
        assert node.get_content(metadata_mode=MetadataMode.LLM) == text
        assert node.get_content(metadata_mode=MetadataMode.NONE) == text
        assert ref in node.get_content(metadata_mode=MetadataMode.ALL)


# --- 7 to 10: pixels in stores ----------------------------------------------------------------


def test_pixels_are_in_no_store_and_vectors_survive_a_reload(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path, tmp_path: Path
) -> None:
    documents = reader.load_data(report)
    page_index(documents, embedding).storage_context.persist(str(tmp_path / "index"))
    kept = "".join(path.read_text("utf-8") for path in (tmp_path / "index").iterdir())
    assert "iVBOR" not in kept  # base64 of a PNG
    assert '"image": null' in kept
    storage = StorageContext.from_defaults(persist_dir=str(tmp_path / "index"))
    index = load_index_from_storage(storage, embed_model=embedding)
    assert isinstance(index, VectorStoreIndex)
    assert_embedded_as_pages(index, documents, embedding)
    for node in index.docstore.docs.values():
        assert isinstance(node, ImageNode)
        assert node.image_path is not None
        assert Path(node.image_path).is_file()


def test_documents_are_the_same_after_json(reader: PDFPageReader, report: Path) -> None:
    for document in reader.load_data(report):
        restored = Document.from_dict(json.loads(json.dumps(document.to_dict())))
        assert restored.hash == document.hash
        assert PDFPageNodeParser()([restored])[0].hash == PDFPageNodeParser()([document])[0].hash


# --- 15 to 17: queries ------------------------------------------------------------------------


async def test_a_query_by_image_finds_the_page_it_shows(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path
) -> None:
    documents = reader.load_data(report)
    retriever = page_index(documents, embedding).as_retriever(similarity_top_k=3)
    image_path = documents[1].image_resource
    assert image_path is not None
    assert image_path.path is not None
    query = QueryBundle("", embedding=embedding.get_image_embedding(image_path.path))
    for hits in (retriever.retrieve(query), await retriever.aretrieve(query)):
        assert len(hits) == 3
        assert hits[0].metadata["page_number"] == 2
        assert hits[0].score == pytest.approx(1.0, abs=1e-5)


async def test_several_query_strings_search_with_their_mean_direction(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path
) -> None:
    retriever = page_index(reader.load_data(report), embedding).as_retriever(similarity_top_k=3)
    queries = ["How did revenue change?", "What did it cost?"]
    bundle = QueryBundle("", custom_embedding_strs=queries)
    retriever.retrieve(bundle)
    assert bundle.embedding is not None
    assert np.linalg.norm(bundle.embedding) == pytest.approx(1.0, abs=1e-5)


# --- 18 and 19: reloading, and what indexes hand to transformations ---------------------------


def test_documents_inserted_after_a_reload_are_embedded_as_pages(
    embedding: VDREmbedding,
    reader: PDFPageReader,
    report: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Settings, "transformations", [SentenceSplitter()])
    other = reader.load_data(write_pdf(tmp_path / "other.pdf", ["A chart", ""]))
    documents = reader.load_data(report)
    page_index(documents, embedding).storage_context.persist(str(tmp_path / "index"))
    for transformations in ([PDFPageNodeParser()], None):
        index = load_index_from_storage(
            StorageContext.from_defaults(persist_dir=str(tmp_path / "index")),
            embed_model=embedding,
            transformations=transformations,
        )
        assert isinstance(index, VectorStoreIndex)
        for document in other:
            index.insert(document)
        assert_embedded_as_pages(index, documents + other, embedding)
        index.delete_ref_doc(other[0].id_, delete_from_docstore=True)
        assert len(stored_vectors(index)) == 4


def test_the_embedding_may_stand_among_the_transformations(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path, encoded: Encoded
) -> None:
    documents = reader.load_data(report)
    index = VectorStoreIndex.from_documents(
        documents,
        transformations=[PDFPageNodeParser(), embedding],
        embed_model=embedding,
        show_progress=True,
    )
    assert encoded.pages == [3]
    assert_embedded_as_pages(index, documents, embedding)


def test_metadata_that_a_transformation_adds_is_refused_rather_than_embedded(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path
) -> None:
    nodes = PDFPageNodeParser()(reader.load_data(report))
    for node in nodes:
        node.metadata["title"] = "A report"
    with pytest.raises(OptionError, match="excluded_embed_metadata_keys"):
        VectorStoreIndex(nodes, embed_model=embedding)
    assert len(embedding(nodes)) == 3  # here the nodes are seen, not only their strings
