"""Pages in LlamaIndex's vector stores."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.llms.types import ImageBlock
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.schema import ImageDocument, ImageNode, MetadataMode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters
from PIL import Image
from tests.pdfs import write_pdf
from tests.stores.another_process import found_by_another_process
from tests.stores.pages_to_find import QUESTIONS, VISUAL_TOKENS

from vdr_integrations.llama_index import PDFPageNodeParser, PDFPageReader, VDREmbedding

if TYPE_CHECKING:
    from pathlib import Path

    from llama_index.core.schema import BaseNode, Document, NodeWithScore
    from tests.stores.pages_to_find import Place
    from tests.stores.vector_store import TableOfStore

QUESTION, ANSWER = next(iter(QUESTIONS.items()))
MANY = 120


def hits(
    index: VectorStoreIndex, question: str = QUESTION, *, k: int = 3, **equal: str | int
) -> list[NodeWithScore]:
    """What is found, among pages whose metadata equal these."""
    every = [MetadataFilter(key=key, value=value) for key, value in equal.items()]
    filters = MetadataFilters(filters=list(every)) if equal else None
    return index.as_retriever(similarity_top_k=k, filters=filters).retrieve(question)


def places(found: list[NodeWithScore]) -> list[Place]:
    return [(hit.metadata["file_name"], hit.metadata["page_number"]) for hit in found]


@pytest.fixture
def index(table: TableOfStore, embedding: VDREmbedding, nodes: list[BaseNode]) -> VectorStoreIndex:
    """The pages in the store."""
    made = table.index(embedding)
    made.insert_nodes(nodes)
    return made


def test_llama_index_finds_the_page_of_each_question_first(index: VectorStoreIndex) -> None:
    for question, place in QUESTIONS.items():
        found = places(hits(index, question))
        assert found[0] == place
        assert len(set(found)) == 3


async def test_llama_index_finds_the_page_in_async_code(
    table: TableOfStore, embedding: VDREmbedding, nodes: list[BaseNode]
) -> None:
    index = table.index(embedding)
    await index.ainsert_nodes(nodes)
    found = await index.as_retriever(similarity_top_k=3).aretrieve(QUESTION)
    assert places(found)[0] == ANSWER


def test_llama_index_gives_back_the_id_the_text_and_all_metadata(
    index: VectorStoreIndex, nodes: list[BaseNode]
) -> None:
    by_id = {node.node_id: node for node in nodes}
    found = hits(index, k=10)
    assert len(found) == 10
    for hit in found:
        node = by_id[hit.node_id]
        assert hit.metadata == node.metadata
        assert type(hit.metadata["page_number"]) is int
        assert hit.node_id == hit.metadata["page_id"]
        for mode in (MetadataMode.LLM, MetadataMode.EMBED):
            assert hit.node.get_content(mode) == node.get_content(mode)


def test_llama_index_shows_the_picture_of_a_hit_to_a_model(index: VectorStoreIndex) -> None:
    hit = hits(index, k=1)[0]
    assert isinstance(hit.node, ImageNode)
    blocks = hit.node.get_content_blocks(MetadataMode.LLM)
    (picture,) = [block for block in blocks if isinstance(block, ImageBlock)]
    with Image.open(io.BytesIO(picture.resolve_image().read())) as image:
        assert image.format == "PNG"


def test_llama_index_filters_by_file_name(index: VectorStoreIndex) -> None:
    found = places(hits(index, k=10, file_name="wine-report.it.pdf"))
    assert sorted(found) == [("wine-report.it.pdf", number) for number in range(1, 6)]


def test_llama_index_filters_by_page_number(index: VectorStoreIndex) -> None:
    found = places(hits(index, k=10, page_number=3))
    assert sorted(found) == [("library-report.en.pdf", 3), ("wine-report.it.pdf", 3)]
    assert places(hits(index, k=10, page_number=3, file_name="wine-report.it.pdf")) == [
        ("wine-report.it.pdf", 3)
    ]


def test_llama_index_filters_by_a_range_of_page_numbers(index: VectorStoreIndex) -> None:
    late = MetadataFilter(key="page_number", value=4, operator=FilterOperator.GTE)
    filters = MetadataFilters(filters=[late])
    found = index.as_retriever(similarity_top_k=10, filters=filters).retrieve(QUESTION)
    assert sorted(number for _, number in places(found)) == [4, 4, 5, 5]


def test_llama_index_finds_nothing_where_a_filter_lets_nothing_through(
    index: VectorStoreIndex,
) -> None:
    assert hits(index, file_name="other.pdf") == []


def test_llama_index_has_pages_once_that_are_added_twice(
    index: VectorStoreIndex, nodes: list[BaseNode]
) -> None:
    index.insert_nodes(nodes)
    assert len(hits(index, k=10)) == 10


def test_llama_index_finds_a_page_that_was_deleted_no_more(
    index: VectorStoreIndex, documents: list[Document]
) -> None:
    (answer,) = [
        document.id_
        for document in documents
        if (document.metadata["file_name"], document.metadata["page_number"]) == ANSWER
    ]
    index.delete_ref_doc(answer, delete_from_docstore=True)
    found = places(hits(index, k=10))
    assert len(found) == 9
    assert ANSWER not in found


def test_llama_index_finds_a_node_that_was_deleted_no_more(
    index: VectorStoreIndex, nodes: list[BaseNode]
) -> None:
    index.delete_nodes([node.node_id for node in nodes[:5]], delete_from_docstore=True)
    assert {name for name, _ in places(hits(index, k=10))} == {"wine-report.it.pdf"}


def test_llama_index_deletes_a_document_by_its_file_name(index: VectorStoreIndex) -> None:
    name = MetadataFilter(key="file_name", value="library-report.en.pdf")
    index.vector_store.delete_nodes(filters=MetadataFilters(filters=[name]))
    assert {name for name, _ in places(hits(index, k=10))} == {"wine-report.it.pdf"}


def test_llama_index_can_add_a_page_after_it_deleted_another(
    index: VectorStoreIndex, nodes: list[BaseNode]
) -> None:
    index.delete_nodes([nodes[0].node_id], delete_from_docstore=True)
    index.insert_nodes(nodes[:1])
    assert len(hits(index, k=10)) == 10


def test_a_llama_index_pipeline_embeds_only_what_changed(
    table: TableOfStore, embedding: VDREmbedding, tmp_path: Path, encoded: list[int]
) -> None:
    reader, docstore = PDFPageReader(max_visual_tokens=VISUAL_TOKENS), SimpleDocumentStore()
    store = table.llama_index()
    texts = [f"Paragraph {number}" for number in range(1, MANY + 1)]
    path = write_pdf(tmp_path / "many.pdf", texts)

    def run(embed: VDREmbedding) -> None:
        pipeline = IngestionPipeline(
            transformations=[PDFPageNodeParser(), embed],
            docstore=docstore,
            vector_store=store,
            docstore_strategy=DocstoreStrategy.UPSERTS,
        )
        pipeline.run(documents=reader.load_data(path))

    run(embedding)
    encoded.clear()
    plain = VDREmbedding(model_name="nano", device="cpu", max_visual_tokens=VISUAL_TOKENS)
    run(plain)
    assert encoded == []
    write_pdf(path, [*texts[:-1], "Zebra"])
    run(plain)
    assert encoded == [1]
    index = VectorStoreIndex.from_vector_store(store, embed_model=plain)
    assert len(hits(index, k=MANY + 1)) == MANY
    assert places(hits(index, "Zebra", k=1)) == [("many.pdf", MANY)]


def test_refreshing_a_llama_index_embeds_only_what_changed(
    table: TableOfStore, embedding: VDREmbedding, tmp_path: Path, encoded: list[int]
) -> None:
    reader, index = PDFPageReader(max_visual_tokens=VISUAL_TOKENS), table.index(embedding)
    changed = f"{table.name} grew"
    path = write_pdf(tmp_path / "report.pdf", ["Revenue grew", "Costs fell", "Outlook"])
    assert index.refresh_ref_docs(reader.load_data(path)) == [True] * 3
    assert index.refresh_ref_docs(reader.load_data(path)) == [False] * 3
    write_pdf(path, ["Revenue grew", changed, "Outlook"])
    encoded.clear()
    assert index.refresh_ref_docs(reader.load_data(path)) == [False, True, False]
    assert encoded == [1]
    texts = [hit.metadata["page_text"].strip() for hit in hits(index, k=3)]
    assert sorted(texts) == sorted(["Revenue grew", changed, "Outlook"])


def test_llama_index_takes_pages_with_more_metadata_than_the_first(
    table: TableOfStore, embedding: VDREmbedding, documents: list[Document]
) -> None:
    index, (first, second) = table.index(embedding), documents[:2]
    warned = second.model_copy(update={"metadata": {**second.metadata, "warnings": "A font."}})
    for document in (first, warned):
        index.insert_nodes(PDFPageNodeParser()([document]))
    found = {hit.metadata["page_number"]: hit.metadata for hit in hits(index)}
    assert found[2]["warnings"] == "A font."
    assert "warnings" not in found[1]


def test_llama_index_keeps_pictures_as_pages(
    index: VectorStoreIndex, documents: list[Document], tmp_path: Path
) -> None:
    resource = documents[2].image_resource
    assert resource is not None
    assert resource.path is not None
    with Image.open(resource.path) as page:
        page.convert("L").save(tmp_path / "scan.png")
    facts = {"file_path": str(tmp_path / "scan.png"), "file_name": "scan.png"}
    picture = ImageDocument(image_path=str(tmp_path / "scan.png"), metadata=facts)
    (node,) = PDFPageNodeParser(max_visual_tokens=VISUAL_TOKENS)([picture])
    index.insert_nodes([node])
    (hit,) = [one for one in hits(index, k=11) if one.metadata["file_name"] == "scan.png"]
    assert hit.metadata == node.metadata
    assert isinstance(hit.node, ImageNode)
    assert {("scan.png", 1), ANSWER} == set(places(hits(index, k=2)))


def test_another_process_finds_the_same_page_in_llama_index(
    index: VectorStoreIndex, table: TableOfStore
) -> None:
    hit = hits(index, k=1)[0]
    table.keep_index(index)
    table.close()
    assert found_by_another_process(table, "llama_index", QUESTION) == {
        "id": hit.node_id,
        "metadata": hit.metadata,
    }
