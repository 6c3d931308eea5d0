"""Page Documents and nodes into a late-interaction index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document, ImageNode, TextNode
from tests.page_warnings import WARNING, spoil_a_picture
from tests.pdfs import write_pdf

from vdr_integrations.errors import OptionError, PageReferenceError
from vdr_integrations.index import (
    Compression,
    LateInteractionIndex,
    sync_index,
)
from vdr_integrations.index.engine import Engine
from vdr_integrations.llama_index import LateInteractionRetriever, PDFPageNodeParser, PDFPageReader

if TYPE_CHECKING:
    from pathlib import Path

    from llama_index.core.schema import BaseNode
    from tests.llama_index.retrieval.conftest import Encoded

    from vdr_integrations import MultiVectorEncoder
    from vdr_integrations.index import QdrantServer


def index_of(retriever: LateInteractionRetriever) -> LateInteractionIndex:
    late = retriever.searcher.index.late
    assert late is not None
    return late


def refs(retriever: LateInteractionRetriever) -> dict[int, str]:
    index = index_of(retriever)
    return {page.page_number: page.page_ref for page in index.get(index.page_ids())}


async def test_adding_gives_page_ids_in_order_and_adding_again_does_nothing(
    retriever: LateInteractionRetriever,
    nodes: list[BaseNode],
    multi_encoded: Encoded,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for method in ("begin", "remove_document", "remove_pages"):
        monkeypatch.delattr(Engine, method)
    ids = retriever.add_nodes(nodes[::-1])
    assert await retriever.aadd_nodes(nodes) == ids[::-1]
    found = index_of(retriever).get(ids)
    assert [page.page_number for page in found] == [3, 2, 1]
    assert multi_encoded.pages == []


def test_documents_and_their_nodes_are_the_same_pages(
    retriever: LateInteractionRetriever, reader: PDFPageReader, report: Path, multi_encoded: Encoded
) -> None:
    documents = reader.load_data(report, extra_info={"year": 2024, "tags": ["a", "b"]})
    retriever.add_nodes(documents)
    assert multi_encoded.pages == []
    assert index_of(retriever).count_pages() == 3


def test_the_index_keeps_text_layer_grid_and_metadata_of_a_page(
    retriever: LateInteractionRetriever, nodes: list[BaseNode], encoder: MultiVectorEncoder
) -> None:
    pages = index_of(retriever).get(retriever.add_nodes(nodes), with_vectors=True)
    assert [page.text for page in pages] == ["Revenue grew\n", "Costs fell\n", "Outlook is calm\n"]
    for page, node in zip(pages, nodes, strict=True):
        assert page.source == node.metadata["file_path"]
        assert (page.page_label, page.total_pages) == (str(page.page_number), 3)
        assert page.metadata == {
            "year": 2024,
            "tags": ["a", "b"],
            "file_name": "report.pdf",
            "file_path": page.source,
        }
        assert page.grid is not None
        assert page.vectors is not None
        assert page.grid.cells < len(page.vectors)


def test_a_page_that_changed_replaces_what_it_was_and_is_encoded_alone(
    retriever: LateInteractionRetriever, reader: PDFPageReader, report: Path, multi_encoded: Encoded
) -> None:
    before = refs(retriever)
    write_pdf(report, ["Revenue grew", "Costs rose", "Outlook is calm"])
    retriever.add_nodes(reader.load_data(report))
    after = refs(retriever)
    assert multi_encoded.pages == [1]
    assert (after[1], after[3]) == (before[1], before[3])
    assert after[2] != before[2]
    texts = [hit.text for hit in retriever.retrieve("costs")]
    assert any("Costs rose" in text for text in texts)
    assert not any("Costs fell" in text for text in texts)


def test_metadata_that_changed_replace_what_they_were_without_encoding(
    retriever: LateInteractionRetriever, nodes: list[BaseNode], multi_encoded: Encoded
) -> None:
    index = index_of(retriever)
    before = index.get(index.page_ids(), with_vectors=True)
    nodes[1].metadata["year"] = 2025
    retriever.add_nodes([nodes[1]])
    after = index.get(index.page_ids(), with_vectors=True)
    assert multi_encoded.pages == []
    assert [page.metadata["year"] for page in after] == [2024, 2025, 2024]
    for one, other in zip(before, after, strict=True):
        assert one.grid == other.grid
        assert one.vectors is not None
        assert other.vectors is not None
        np.testing.assert_array_equal(one.vectors, other.vectors)


@pytest.mark.parametrize("compression", [None, Compression(token_pooling=2)])
def test_a_page_has_the_bias_of_its_own_image(
    nodes: list[BaseNode],
    encoder: MultiVectorEncoder,
    reader: PDFPageReader,
    report: Path,
    server: QdrantServer,
    *,
    compression: Compression | None,
) -> None:
    retriever = LateInteractionRetriever.from_documents(
        nodes,
        index=server,
        encoder=encoder,
        compression=compression,
        question_bank=["Where is the key?", "Wer hat gewonnen?"],
    )
    index = index_of(retriever)
    first = _biases(index)
    nodes[1].metadata["year"] = 2025
    retriever.add_nodes([nodes[1]])
    assert _biases(index) == first
    write_pdf(report, ["Revenue grew", "Costs rose", "Outlook is calm"])
    retriever.add_nodes(reader.load_data(report))
    changed = _biases(index)
    assert [one == other for one, other in zip(first, changed, strict=True)] == [True, False, True]


def _biases(index: LateInteractionIndex) -> list[float]:
    """The stored biases, which must be those of the stored vectors."""
    bank = index.question_bank()
    assert bank is not None
    pages = index.get(index.page_ids(), with_vectors=True)
    for page in pages:
        assert page.vectors is not None
        assert page.bias == pytest.approx(bank.bias(page.vectors), abs=1e-6)
    return [page.bias for page in pages]


@pytest.mark.parametrize("compression", [None, Compression(token_pooling=2)])
def test_pages_may_come_one_by_one(
    nodes: list[BaseNode],
    encoder: MultiVectorEncoder,
    server: QdrantServer,
    compression: Compression | None,
) -> None:
    retriever = LateInteractionRetriever.from_documents(
        [nodes[2]], index=server, encoder=encoder, compression=compression, similarity_top_k=9
    )
    index = index_of(retriever)
    (alone,) = index.get(index.page_ids(), with_vectors=True)
    for node in nodes[:2]:
        retriever.add_nodes([node], batch_pages=1)
    pages = index.get(index.page_ids(), with_vectors=True)
    assert [page.page_number for page in pages] == [1, 2, 3]
    assert pages[2].vectors is not None
    assert alone.vectors is not None
    np.testing.assert_allclose(pages[2].vectors, alone.vectors, atol=1e-3)
    assert len(retriever.retrieve("revenue")) == 3


def test_pages_beyond_the_end_of_a_shorter_version_are_dropped(
    retriever: LateInteractionRetriever, reader: PDFPageReader, report: Path
) -> None:
    write_pdf(report, ["Revenue grew", "The end"])
    retriever.add_nodes(reader.load_data(report))
    assert sorted(refs(retriever)) == [1, 2]
    assert {hit.metadata["total_pages"] for hit in retriever.retrieve("revenue")} == {2}


def test_files_that_were_added_as_nodes_are_read_by_the_next_sync(
    retriever: LateInteractionRetriever, report: Path, encoder: MultiVectorEncoder
) -> None:
    before = refs(retriever)
    done = sync_index(index_of(retriever), encoder, [report])
    assert done.changed == [report.as_posix()]
    assert refs(retriever) == before


def test_several_documents_and_pdfs_without_a_path_lie_side_by_side(
    retriever: LateInteractionRetriever, reader: PDFPageReader, tmp_path: Path
) -> None:
    other = write_pdf(tmp_path / "other.pdf", ["Other", "Pages"])
    documents = reader.load_data([other, other.read_bytes()])
    ids = retriever.add_nodes(documents, batch_pages=2)
    assert len(set(ids)) == 4
    assert index_of(retriever).count_pages() == 7
    (hit,) = [
        hit
        for hit in retriever.search_image(documents[3].metadata["page_ref"])
        if hit.metadata["source"].startswith("sha256:") and hit.metadata["page_number"] == 2
    ]
    assert hit.text == PDFPageNodeParser()([documents[3]])[0].get_content()
    assert hit.node.hash == ImageNode(image_path=str(hit.node.image_path), text=hit.text).hash  # pyright: ignore[reportAttributeAccessIssue]


def test_a_batch_that_fails_leaves_the_index_as_it_was(
    retriever: LateInteractionRetriever, nodes: list[BaseNode], tmp_path: Path
) -> None:
    before = refs(retriever)
    nodes[2].metadata["page_ref"] = "vdr-page:" + "0" * 64
    nodes[0].metadata["year"] = 1999
    with pytest.raises(PageReferenceError):
        retriever.add_nodes(nodes, batch_pages=1)
    assert refs(retriever) == before
    assert len(retriever.retrieve("revenue")) == 3


def test_what_is_no_page_is_refused_before_anything_is_written(
    retriever: LateInteractionRetriever, nodes: list[BaseNode], reader: PDFPageReader, report: Path
) -> None:
    piece = SentenceSplitter().get_nodes_from_documents(reader.load_data(report))[0]
    named = nodes[0].model_copy(deep=True)
    named.metadata["source"] = "intranet"
    twin = nodes[1].model_copy(deep=True)
    twin.metadata["page_ref"] = nodes[0].metadata["page_ref"]
    write_pdf(report, ["New", "New", "New"])
    new = reader.load_data(report)
    before = refs(retriever)
    for bad in (
        [TextNode(text="text")],
        [Document(text="text")],
        [ImageNode(image_path="a.png")],
        [piece],
        [named],
        [nodes[1], twin],
    ):
        with pytest.raises(OptionError):
            retriever.add_nodes([*new[:1], *bad])
    with pytest.raises(OptionError, match="batch_pages"):
        retriever.add_nodes(new, batch_pages=0)
    assert refs(retriever) == before


def test_another_compression_than_that_of_the_index_is_refused(
    retriever: LateInteractionRetriever, nodes: list[BaseNode], encoder: MultiVectorEncoder
) -> None:
    index = index_of(retriever)
    with pytest.raises(OptionError, match="compression"):
        LateInteractionRetriever.from_documents(
            nodes, index=index, encoder=encoder, compression=Compression(token_pooling=2)
        )
    same = LateInteractionRetriever.from_documents(
        nodes, index=index, encoder=encoder, compression=Compression()
    )
    assert len(same.retrieve("revenue")) == 3


def test_a_new_index_shows_model_and_prompts(
    retriever: LateInteractionRetriever, encoder: MultiVectorEncoder
) -> None:
    index = index_of(retriever)
    assert index.manifest.fingerprint == encoder.fingerprint
    assert index.prompts["page"] == encoder.checkpoint.page_prompt
    assert index.dense_manifest is None


def test_warnings_of_pages_go_into_the_index_and_come_back_with_hits(
    tmp_path: Path,
    reader: PDFPageReader,
    encoder: MultiVectorEncoder,
) -> None:
    path = spoil_a_picture(write_pdf(tmp_path / "a.pdf", ["apples", "pears"]), 2)
    pages = reader.load_data(path)
    assert [page.metadata["page_warnings"] for page in pages] == ["", WARNING]
    with LateInteractionRetriever.from_documents(
        pages, index=tmp_path / "ix", encoder=encoder
    ) as made:
        (document,) = index_of(made).documents()
        assert [(one.page_number, one.message) for one in document.warnings] == [(2, WARNING)]
        assert all("page_warnings" not in page.metadata for page in index_of(made).pages())
        found = {hit.metadata["page_number"]: hit.metadata for hit in made.retrieve("pears")}
        assert found[1]["page_warnings"] == ""
        assert found[2]["page_warnings"] == WARNING
        # A page that was drawn again without a warning replaces the stored one.
        pages[1].metadata["page_warnings"] = ""
        made.add_nodes(pages[1:])
        assert index_of(made).documents()[0].warnings == ()
        # The page that is not given keeps what it has.
        pages[1].metadata["page_warnings"] = WARNING
        made.add_nodes(pages[1:])
        made.add_nodes([Document(text="x", metadata={**pages[0].metadata, "page_label": "i"})])
        assert [page.warnings for page in index_of(made).pages()] == [(), (WARNING,)]


def test_a_key_warnings_of_the_caller_that_is_no_list_of_texts_stays_metadata(
    tmp_path: Path, reader: PDFPageReader, encoder: MultiVectorEncoder
) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["apples"])
    pages = reader.load_data(path, extra_info={"warnings": 3})
    with LateInteractionRetriever.from_documents(
        pages, index=tmp_path / "ix", encoder=encoder
    ) as made:
        (page,) = index_of(made).pages()
        assert (page.metadata["warnings"], page.warnings) == (3, ())
