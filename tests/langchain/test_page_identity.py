"""A page is one thing, whoever names it: ids, sources, equality, and LangChain's own tools."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from langchain_classic.retrievers import EnsembleRetriever, MultiQueryRetriever
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from langchain_core.indexing import IndexingResult, InMemoryRecordManager, index
from langchain_core.language_models import FakeListChatModel
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore
from tests.half_pairs import HALF_PAIRS

from vdr_integrations.errors import DocumentOpenError, OptionError
from vdr_integrations.langchain import (
    LateInteractionRetriever,
    PDFPageBlobParser,
    PDFPageLoader,
    VDREmbeddings,
    page_key,
    page_texts,
)

if TYPE_CHECKING:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun

    from vdr_integrations.pages import PageStore

MakePdf = Callable[[str, Sequence[str]], Path]


def load(*paths: Path | str) -> list[Document]:
    return PDFPageLoader(list(paths), max_visual_tokens=64).load()


def test_equal_file_names_in_two_folders_are_two_documents(
    make_pdf: MakePdf, embeddings: VDREmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = InMemoryVectorStore(embeddings)
    for year, text in (("2023", "Old revenue"), ("2024", "New revenue")):
        path = make_pdf(f"{year}/report.pdf", [text])
        monkeypatch.chdir(path.parent)
        store.add_documents(load("report.pdf"))
    found = store.similarity_search("revenue", k=5)
    assert sorted(page.metadata["page_text"].strip() for page in found) == [
        "New revenue",
        "Old revenue",
    ]
    assert {page.metadata["file_name"] for page in found} == {"report.pdf"}


def test_all_spellings_of_a_path_are_one_page(
    make_pdf: MakePdf, embeddings: VDREmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_pdf("in/report.pdf", ["Revenue"])
    (path.parent.parent / "linked").symlink_to(path.parent)
    monkeypatch.chdir(path.parent)
    spellings = [
        "report.pdf",
        "./report.pdf",
        "../in/report.pdf",
        str(path),
        f"{path.parent}//report.pdf",
        "../linked/report.pdf",
    ]
    pages = [load(spelling)[0] for spelling in spellings]
    pages += PDFPageBlobParser(max_visual_tokens=64).parse(Blob.from_path("report.pdf"))
    assert {page.id for page in pages} == {pages[0].metadata["page_id"]}
    assert {page.metadata["source"] for page in pages} == {path.as_posix()}
    store = InMemoryVectorStore(embeddings)
    store.add_documents(pages)
    assert len(store.store) == 1


@pytest.mark.parametrize("name", ["report.pdf", "uploads/report.pdf", None])
def test_uploads_with_one_name_are_known_by_their_content(
    make_pdf: MakePdf, page_store: PageStore, name: str | None
) -> None:
    contents = [make_pdf(f"{text}.pdf", [text]).read_bytes() for text in ("first", "second")]
    parser = PDFPageBlobParser(max_visual_tokens=64)
    first, second = (parser.parse(Blob.from_data(data, path=name))[0] for data in contents)
    assert first.id != second.id
    assert first == parser.parse(Blob.from_data(contents[0], path=name))[0]
    for page in (first, second):
        assert page.metadata["source"].startswith("sha256:")
        shown = "report.pdf" if name else page.metadata["source"][7:19]
        assert page.metadata["file_name"] == shown
        assert page.metadata["citation"] == f"{shown}, page 1 of 1"


def test_a_blob_keeps_a_source_that_its_metadata_name(report: Path) -> None:
    url = "https://intranet.example/report.pdf"
    blob = Blob.from_path(report, metadata={"source": url})
    [first, *_] = PDFPageBlobParser(max_visual_tokens=64).parse(blob)
    assert (first.metadata["source"], first.metadata["file_name"]) == (url, "report.pdf")


def test_a_blob_is_named_by_whatever_its_metadata_hold(report: Path) -> None:
    parser = PDFPageBlobParser(max_visual_tokens=64)
    for source in (report, f"file://{report}", 5, None):
        blob = Blob.from_path(report, metadata={"source": source})
        assert parser.parse(blob)[0].metadata["source"] == str(report)
    blob = Blob.from_path(report, metadata={"notes": {(1, 2): "x"}})
    with pytest.raises(DocumentOpenError, match=r"report\.pdf: its metadata 'notes'"):
        parser.parse(blob)


@pytest.mark.parametrize("half", HALF_PAIRS.values(), ids=HALF_PAIRS)
def test_names_and_metadata_that_no_store_can_hold_are_errors_of_their_document(
    report: Path, tmp_path: Path, half: str
) -> None:
    parser = PDFPageBlobParser(max_visual_tokens=64)
    for blob in (
        Blob.from_path(report, metadata={"note": half}),
        Blob.from_path(report, metadata={half: "note"}),
        Blob.from_path(report, metadata={"notes": {"deep": ["a", half]}}),
        Blob.from_data(report.read_bytes(), path=half),
    ):
        with pytest.raises(DocumentOpenError, match=r"UTF-8"):
            parser.parse(blob)
    embeddings = VDREmbeddings(model="nano")
    with pytest.raises(ValueError, match="half a surrogate pair"):
        LateInteractionRetriever(index=tmp_path / "none", filter={"file_name": half})
    with pytest.raises(OptionError, match="half a surrogate pair"):
        embeddings.embed_query(half)


def test_a_file_name_that_is_not_utf8_costs_its_own_document_only(
    report: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = os.fsencode(report.parent) + b"/caf\xe9.pdf"
    Path(os.fsdecode(bad)).write_bytes(report.read_bytes())
    found = PDFPageLoader(report.parent, max_visual_tokens=64, on_error="warn").load()
    assert len(found) == 3
    assert r"caf\udce9.pdf: its name is not UTF-8" in caplog.text


# --- LangChain's own tools -----------------------------------------------------------------------


class Fixed(BaseRetriever):
    """Finds the same documents for any question."""

    documents: list[Document]

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return self.documents


def test_three_wordings_of_a_question_find_each_page_once(
    late_report: LateInteractionRetriever,
) -> None:
    llm = FakeListChatModel(responses=["What fell?\nWhich costs fell?\nHow did costs change?"])
    found = MultiQueryRetriever.from_llm(late_report, llm=llm).invoke("costs")
    assert len({page.id for page in found}) == len(found) == 3
    scored = late_report.invoke("costs", with_scores=True)
    assert all(page.metadata["relevance_score"] > 0 for page in scored)
    assert "relevance_score" not in found[0].metadata


def test_a_page_is_an_equal_document_from_a_vector_store_and_from_a_late_index(
    late_report: LateInteractionRetriever, report: Path, embeddings: VDREmbeddings
) -> None:
    store = InMemoryVectorStore(embeddings)
    store.add_documents(load(report))
    dense = {page.id: page for page in store.similarity_search("costs", k=3)}
    late = {page.id: page for page in late_report.invoke("costs")}
    assert late == dense
    both = EnsembleRetriever(
        retrievers=[store.as_retriever(search_kwargs={"k": 3}), late_report], weights=[0.5, 0.5]
    )
    assert len(both.invoke("costs")) == 3


def test_two_forms_with_one_picture_are_told_apart_by_id_key(
    make_pdf: MakePdf, page_store: PageStore
) -> None:
    forms = load(make_pdf("a/form.pdf", ["Name: ____"]), make_pdf("b/form.pdf", ["Name: ____"]))
    assert forms[0].page_content == forms[1].page_content
    retrievers = [Fixed(documents=forms), Fixed(documents=[forms[1]])]
    both = EnsembleRetriever(retrievers=retrievers, weights=[0.5, 0.5], id_key="page_id")  # pyright: ignore[reportArgumentType]
    assert [page.id for page in both.invoke("x")] == [forms[1].id, forms[0].id]


def test_texts_of_pages_are_copies_that_keep_what_the_page_is(
    make_pdf: MakePdf, page_store: PageStore
) -> None:
    pages = load(make_pdf("a.pdf", ["Costs fell", ""]))
    note = Document(page_content="a note")
    texts = page_texts([*pages, note])
    assert [text.page_content for text in texts] == [
        "a.pdf, page 1 of 2\n\nCosts fell",
        "a.pdf, page 2 of 2",
        "a note",
    ]
    assert [text.metadata for text in texts[:2]] == [page.metadata for page in pages]
    assert [text.id for text in texts[:2]] == [page.id for page in pages]
    assert pages[0].page_content.startswith("vdr-page:")
    assert page_texts(texts) == texts


@pytest.mark.parametrize(
    ("cleanup", "again"),
    [
        ("scoped_full", {"num_added": 0, "num_skipped": 120, "num_deleted": 0}),
        # What LangChain does beyond a batch of 100; page_key's documentation advises against it.
        ("incremental", {"num_added": 20, "num_skipped": 100, "num_deleted": 20}),
    ],
)
def test_indexing_120_pages_again(
    make_pdf: MakePdf, embeddings: VDREmbeddings, cleanup: str, again: dict[str, int]
) -> None:
    pages = load(make_pdf("long.pdf", [str(number) for number in range(120)]))
    store = InMemoryVectorStore(embeddings)
    records = InMemoryRecordManager(namespace="pages")

    def run() -> IndexingResult:
        return index(
            pages,
            records,
            store,
            cleanup=cleanup,  # pyright: ignore[reportArgumentType]
            source_id_key="source",
            key_encoder=page_key,
        )

    assert run()["num_added"] == 120
    assert len(store.store) == 120
    assert {name: run()[name] for name in again} == again


# --- references that were cut --------------------------------------------------------------------


@pytest.mark.parametrize("cut", [9, 20, 72])
def test_a_reference_that_a_splitter_cut_is_refused(
    report: Path, embeddings: VDREmbeddings, cut: int
) -> None:
    [page, *_] = load(report)
    for piece in (page.page_content[:cut], f" {page.page_content}\n", f"{page.page_content} x"):
        with pytest.raises(OptionError, match=r"page reference|reference alone"):
            embeddings.embed_documents(["fine", piece])
    assert embeddings.embed_query(page.page_content[:cut])


def test_a_reference_under_other_lines_is_refused(report: Path, embeddings: VDREmbeddings) -> None:
    [page, *_] = load(report)
    with pytest.raises(OptionError, match="reference alone"):
        embeddings.embed_documents([f"Title\n{page.page_content}"])
    unknown = "vdr-page:" + "0" * 64
    assert embeddings.embed_documents([f"Title\n{unknown}", f"see {page.page_content}"])
