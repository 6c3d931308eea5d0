"""Table A3 of the contract notes: hashes, caches and upserts of ingestion pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymupdf
from llama_index.core.ingestion import DocstoreStrategy, IngestionCache, IngestionPipeline
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index.core.vector_stores import SimpleVectorStore
from tests.pdfs import write_pdf

from vdr_integrations.llama_index import PDFPageNodeParser, PDFPageReader, VDREmbedding

if TYPE_CHECKING:
    from pathlib import Path

    from llama_index.core.schema import (
        BaseNode,
    )
    from tests.llama_index.conftest import Encoded


def test_a_blank_page_is_not_a_duplicate_of_another_blank_page(
    embedding: VDREmbedding, reader: PDFPageReader, tmp_path: Path
) -> None:
    documents = reader.load_data(write_pdf(tmp_path / "blank.pdf", ["", ""]))
    assert documents[0].metadata["page_ref"] == documents[1].metadata["page_ref"]
    nodes = PDFPageNodeParser()(documents)
    assert nodes[0].hash != nodes[1].hash
    pipeline = IngestionPipeline(
        transformations=[PDFPageNodeParser(), embedding],
        docstore=SimpleDocumentStore(),
        vector_store=SimpleVectorStore(),
        docstore_strategy=DocstoreStrategy.DUPLICATES_ONLY,
    )
    assert len(pipeline.run(documents=documents)) == 2
    again = reader.load_data(tmp_path / "blank.pdf")
    assert len(pipeline.run(documents=again)) == 0


def test_hashes_move_with_what_a_page_shows(reader: PDFPageReader, tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["before"])
    before = reader.load_data(path)
    with pymupdf.open(path) as pdf:
        pdf[0].draw_rect(pymupdf.Rect(10, 100, 60, 150), fill=(1, 0, 0))
        content = pdf.tobytes()
    path.write_bytes(content)
    after = reader.load_data(path)
    parser = PDFPageNodeParser()
    assert before[0].text == after[0].text
    assert before[0].id_ == after[0].id_
    assert before[0].hash != after[0].hash
    assert parser(before)[0].hash != parser(after)[0].hash


def test_pages_that_look_alike_do_not_collide_in_a_pipeline_cache(
    embedding: VDREmbedding, reader: PDFPageReader, tmp_path: Path
) -> None:
    pipeline = IngestionPipeline(
        transformations=[PDFPageNodeParser(), embedding], cache=IngestionCache()
    )
    runs: list[list[BaseNode]] = []
    for name in ("a.pdf", "b.pdf"):
        documents = reader.load_data(write_pdf(tmp_path / name, ["", ""]))
        runs.append(list(pipeline.run(documents=documents)))
    assert {node.metadata["file_name"] for node in runs[1]} == {"b.pdf"}
    assert not {node.id_ for node in runs[0]} & {node.id_ for node in runs[1]}


def test_a_second_run_of_a_pipeline_with_a_cache_embeds_nothing(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path, encoded: Encoded
) -> None:
    pipeline = IngestionPipeline(
        transformations=[PDFPageNodeParser(), embedding], cache=IngestionCache()
    )
    first = pipeline.run(documents=reader.load_data(report))
    assert encoded.pages == [3]
    second = pipeline.run(documents=reader.load_data(report))
    assert encoded.pages == [3]
    assert [node.embedding for node in second] == [node.embedding for node in first]
    embedding.dimension = 16
    third = pipeline.run(documents=reader.load_data(report))
    assert encoded.pages == [3, 3]
    assert {len(node.get_embedding()) for node in third} == {16}


async def test_upserts_embed_only_the_page_that_changed(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path, encoded: Encoded
) -> None:
    vectors = SimpleVectorStore()
    pipeline = IngestionPipeline(
        transformations=[PDFPageNodeParser(), embedding],
        docstore=SimpleDocumentStore(),
        vector_store=vectors,
        docstore_strategy=DocstoreStrategy.UPSERTS,
    )
    pipeline.run(documents=reader.load_data(report))
    assert encoded.pages == [3]
    assert await pipeline.arun(documents=reader.load_data(report)) == []
    assert encoded.pages == [3]
    before = dict(vectors.data.embedding_dict)
    write_pdf(report, ["Revenue grew", "Costs rose", "Outlook is calm"])
    (changed,) = await pipeline.arun(documents=reader.load_data(report))
    assert encoded.pages == [3, 1]
    assert changed.metadata["page_number"] == 2
    after = vectors.data.embedding_dict
    assert after.keys() == before.keys()
    assert [id_ for id_ in after if after[id_] != before[id_]] == [changed.id_]


def test_upserts_and_delete_drop_pages_that_are_gone(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path, encoded: Encoded
) -> None:
    vectors = SimpleVectorStore()
    pipeline = IngestionPipeline(
        transformations=[PDFPageNodeParser(), embedding],
        docstore=SimpleDocumentStore(),
        vector_store=vectors,
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
    )
    pipeline.run(documents=reader.load_data(report))
    write_pdf(report, ["Revenue grew", "Costs fell"])
    encoded.forget()
    # The number of pages is part of every citation, so these two count as changed.
    pipeline.run(documents=reader.load_data(report))
    assert len(vectors.data.embedding_dict) == 2


def test_an_embeddings_cache_spares_pages_whose_file_was_only_touched(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path, encoded: Encoded
) -> None:
    embedding.embeddings_cache = SimpleKVStore()
    pipeline = IngestionPipeline(
        transformations=[PDFPageNodeParser(), embedding],
        docstore=SimpleDocumentStore(),
        vector_store=SimpleVectorStore(),
    )
    for size in (1, 2):
        documents = reader.load_data(report, extra_info={"file_size": size})
        assert len(pipeline.run(documents=documents)) == 3
    assert encoded.pages == [3]
