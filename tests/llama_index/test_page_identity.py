"""A page is one thing, whoever names it: ids, evaluation, filters and stored indexes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from llama_index.core import (
    Document,
    SimpleDirectoryReader,
    StorageContext,
    VectorStoreIndex,
    load_index_from_storage,
)
from llama_index.core.evaluation import RetrieverEvaluator
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import MarkdownNodeParser, SentenceSplitter, TokenTextSplitter
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import ImageNode, MetadataMode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
from llama_index.core.vector_stores.utils import node_to_metadata_dict
from tests.half_pairs import HALF_PAIRS
from tests.llama_index.indexes import assert_embedded_as_pages, page_index
from tests.pdfs import write_pdf

from vdr_integrations.errors import DocumentOpenError, OptionError
from vdr_integrations.llama_index import (
    LateInteractionRetriever,
    PDFPageNodeParser,
    PDFPageReader,
    VDREmbedding,
)

if TYPE_CHECKING:
    from llama_index.core.schema import TransformComponent

    from vdr_integrations import MultiVectorEncoder, PageStore

LONG = " ".join(f"word{number}" for number in range(2000))
"""More than any splitter's chunk."""


def names_filter(name: str) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key="file_name", value=name)])


async def test_an_evaluation_counts_the_hits_of_both_retrievers(
    embedding: VDREmbedding,
    late_encoder: MultiVectorEncoder,
    reader: PDFPageReader,
    report: Path,
    tmp_path: Path,
) -> None:
    documents = reader.load_data(report)
    nodes = PDFPageNodeParser()(documents)
    dense = VectorStoreIndex(nodes, embed_model=embedding).as_retriever(similarity_top_k=3)
    with LateInteractionRetriever.from_documents(
        documents, index=tmp_path / "late", encoder=late_encoder
    ) as late:
        for retriever in (dense, late):
            evaluator = RetrieverEvaluator.from_metric_names(["hit_rate"], retriever=retriever)
            for node in nodes:
                found = await evaluator.aevaluate("costs", expected_ids=[node.node_id])
                assert found.metric_vals_dict == {"hit_rate": 1.0}
        fused = QueryFusionRetriever(
            [dense, late], llm=MockLLM(), num_queries=1, use_async=False, similarity_top_k=9
        )
        assert len(fused.retrieve("costs")) == 3
        assert {node.node_id for node in nodes} == {hit.node_id for hit in late.retrieve("costs")}


def test_pages_are_found_by_their_file_name(
    embedding: VDREmbedding,
    late_encoder: MultiVectorEncoder,
    reader: PDFPageReader,
    report: Path,
    tmp_path: Path,
) -> None:
    other = write_pdf(tmp_path / "other.pdf", ["Costs"])
    documents = [*reader.load_data(report), *reader.load_data(other)]
    documents += reader.load_data(other.read_bytes(), extra_info={"file_name": "upload.pdf"})
    with LateInteractionRetriever.from_documents(
        documents, index=tmp_path / "late", encoder=late_encoder
    ) as late:
        retrievers: list[Any] = [late, page_index(documents, embedding)]
        for name, pages in (("report.pdf", 3), ("other.pdf", 1), ("upload.pdf", 1), ("x.pdf", 0)):
            late.filters = names_filter(name)
            dense = retrievers[1].as_retriever(filters=names_filter(name), similarity_top_k=9)
            for retriever in (late, dense):
                hits = retriever.retrieve("costs")
                assert [hit.metadata["file_name"] for hit in hits] == [name] * pages
        late.filters = MetadataFilters(
            filters=[MetadataFilter(key="file_path", value=other.as_posix())]
        )
        assert [hit.metadata["source"] for hit in late.retrieve("costs")] == [other.as_posix()]


def test_all_spellings_of_a_path_are_one_document(
    reader: PDFPageReader, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(report.parent)
    spellings = ["report.pdf", "./report.pdf", f"../{report.parent.name}/report.pdf", str(report)]
    found = [reader.load_data(spelling)[0] for spelling in spellings]
    found += SimpleDirectoryReader(".", file_extractor=reader.by_suffix()).load_data()[:1]
    assert {document.id_ for document in found} == {found[0].id_}
    assert {document.metadata["source"] for document in found} == {report.as_posix()}
    nodes = PDFPageNodeParser()(found)
    assert {node.node_id for node in nodes} == {found[0].metadata["page_id"]}


def test_metadata_of_a_page_fit_into_flat_stores(reader: PDFPageReader, report: Path) -> None:
    [node, *_] = PDFPageNodeParser()(reader.load_data(report))
    assert node_to_metadata_dict(node, flat_metadata=True)["page_number"] == 1
    assert not {"text", "id", "vector", "embedding", "pk"} & set(node.metadata)


# --- stored indexes, and a forgotten PDFPageNodeParser -------------------------------------------


@pytest.mark.parametrize(
    "splitter",
    [
        SentenceSplitter(),
        SentenceSplitter(chunk_size=128, chunk_overlap=0),
        TokenTextSplitter(),
    ],
    ids=lambda splitter: type(splitter).__name__,
)
def test_without_the_parser_a_page_is_still_one_image_node(
    embedding: VDREmbedding, reader: PDFPageReader, tmp_path: Path, splitter: TransformComponent
) -> None:
    documents = reader.load_data(write_pdf(tmp_path / "a.pdf", ["Costs", LONG]))
    index = VectorStoreIndex.from_documents(
        documents, transformations=[splitter], embed_model=embedding
    )
    assert_embedded_as_pages(index, documents, embedding)
    for hit in index.as_retriever().retrieve("costs"):
        assert isinstance(hit.node, ImageNode)
        assert Path(str(hit.node.image_path)).is_file()
        assert hit.node.get_content(metadata_mode=MetadataMode.LLM).startswith("a.pdf, page")


def test_a_parser_that_adds_metadata_to_a_page_is_refused(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path
) -> None:
    with pytest.raises(OptionError, match="excluded_embed_metadata_keys"):
        VectorStoreIndex.from_documents(
            reader.load_data(report), transformations=[MarkdownNodeParser()], embed_model=embedding
        )


@pytest.mark.parametrize("parser", [[PDFPageNodeParser()], None], ids=["parser", "none"])
def test_a_stored_index_takes_and_refreshes_pages(
    embedding: VDREmbedding,
    reader: PDFPageReader,
    report: Path,
    tmp_path: Path,
    parser: list[TransformComponent] | None,
) -> None:
    documents = reader.load_data(report)
    page_index(documents, embedding).storage_context.persist(str(tmp_path / "kept"))
    storage = StorageContext.from_defaults(persist_dir=str(tmp_path / "kept"))
    options: dict[str, Any] = {} if parser is None else {"transformations": parser}
    index = load_index_from_storage(storage, embed_model=embedding, **options)
    assert isinstance(index, VectorStoreIndex)
    write_pdf(report, ["Revenue grew", "Prices fell", "Outlook is calm", "A new page"])
    again = reader.load_data(report, extra_info={})
    for document in again:
        document.metadata["total_pages"] = 3  # as before: only two pages are other ones
        document.metadata["citation"] = document.metadata["citation"].replace("of 4", "of 3")
        document.set_content(document.metadata["citation"])
    assert index.refresh_ref_docs(again) == [False, True, False, True]
    assert_embedded_as_pages(index, again, embedding)
    assert all(isinstance(node, ImageNode) for node in index.docstore.docs.values())


# --- names and metadata that no store can hold ---------------------------------------------------


@pytest.mark.parametrize("half", HALF_PAIRS.values(), ids=HALF_PAIRS)
def test_half_pairs_are_errors_of_their_document(
    reader: PDFPageReader,
    report: Path,
    tmp_path: Path,
    half: str,
) -> None:
    for info in ({"note": half}, {half: "note"}, {"notes": ["a", {"deep": half}]}):
        with pytest.raises(DocumentOpenError, match=r"report\.pdf.*surrogate"):
            reader.load_data(report, extra_info=info)
    with pytest.raises(DocumentOpenError, match="UTF-8"):
        reader.load_data(report.read_bytes(), extra_info={"file_name": half})
    with pytest.raises(OptionError, match="half a surrogate pair"):
        LateInteractionRetriever(tmp_path / "none", filters=names_filter(half))


def test_a_file_name_that_is_not_utf8_costs_its_own_document_only(
    reader: PDFPageReader, report: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = Path(os.fsdecode(os.fsencode(report.parent) + b"/caf\xe9.pdf"))
    bad.write_bytes(report.read_bytes())
    found = SimpleDirectoryReader(str(report.parent), file_extractor=reader.by_suffix()).load_data()
    assert [document.metadata["file_name"] for document in found] == ["report.pdf"] * 3
    assert r"caf\udce9.pdf: its name is not UTF-8" in caplog.text
    assert [error.source for error in reader.errors] == [f"{report.parent}/caf\\udce9.pdf"]
    with pytest.raises(DocumentOpenError, match="not UTF-8"):
        reader.model_copy(update={"on_error": "raise"}).load_data(bad)


def test_a_document_that_was_given_another_identity_is_refused(
    reader: PDFPageReader, report: Path, late_encoder: MultiVectorEncoder, tmp_path: Path
) -> None:
    documents: list[Document] = list(reader.load_data(report))
    documents[1].metadata["source"] = "annual reports"
    with pytest.raises(OptionError, match="annual reports page 2"):
        LateInteractionRetriever.from_documents(
            documents, index=tmp_path / "late", encoder=late_encoder
        )


def test_a_page_store_is_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page_store: PageStore
) -> None:
    monkeypatch.delenv("VDR_PAGE_STORE")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    [page] = PDFPageReader(max_visual_tokens=64).load_data(write_pdf(tmp_path / "a.pdf", ["a"]))
    resource = page.image_resource
    assert resource is not None
    assert str(resource.path).startswith(f"{tmp_path}/data/vdr-integrations/pages/")


def test_a_list_of_files_keeps_their_own_names(
    reader: PDFPageReader, report: Path, tmp_path: Path
) -> None:
    other = write_pdf(tmp_path / "other.pdf", ["x"])
    info = {"file_path": str(report)}
    of_paths = reader.load_data([report, other], extra_info=info)
    assert {one.metadata["source"] for one in of_paths} == {str(report), str(other)}
    of_bytes = reader.load_data([report.read_bytes(), other.read_bytes()], extra_info=info)
    assert len({one.metadata["source"] for one in of_bytes}) == 2


def test_a_file_system_with_file_in_its_name_is_not_the_local_one(
    reader: PDFPageReader, report: Path, tmp_path: Path
) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file(str(report), write_pdf(tmp_path / "remote.pdf", ["Remote"]).read_bytes())
    cached = fsspec.filesystem(
        "filecache", target_protocol="memory", cache_storage=str(tmp_path / "cache")
    )
    [page] = reader.load_data(str(report), fs=cached)
    assert page.metadata["page_text"].strip() == "Remote"


@pytest.mark.parametrize(
    "info",
    [{1: "\ud83d"}, {"a": {(1, 2): "x"}}, {"a": HALF_PAIRS}],
    ids=["key", "tuple", "half pairs"],
)
def test_metadata_of_any_kind_are_errors_of_their_document(
    reader: PDFPageReader, report: Path, info: dict[Any, Any]
) -> None:
    with pytest.raises(DocumentOpenError, match=r"report\.pdf: its metadata"):
        reader.load_data(report, extra_info=info)
