from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import ValidationError
from tests.langchain.retrieval.conftest import QUESTION
from tests.pdfs import write_pdf

from vdr_integrations.errors import IndexMismatchError, OptionError, PageReferenceError
from vdr_integrations.index import (
    Compression,
    LateInteractionIndex,
    Manifest,
    maxsim_scores,
    sync_index,
)
from vdr_integrations.langchain import (
    LateInteractionCompressor,
    LateInteractionRetriever,
    PDFPageLoader,
    VDREmbeddings,
)
from vdr_integrations.pages import PageStore

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    from vdr_integrations import MultiVectorEncoder


class PageCounter:
    """Counts the pages that an encoder is given."""

    def __init__(self, encoder: MultiVectorEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        sync, asynchronous = encoder.encode_pages, encoder.aencode_pages

        def encode(pages: Iterable[Any]) -> Any:
            self.batches.append(len(listed := list(pages)))
            return sync(listed)

        async def aencode(pages: Iterable[Any]) -> Any:
            self.batches.append(len(listed := list(pages)))
            return await asynchronous(listed)

        monkeypatch.setattr(encoder, "encode_pages", encode)
        monkeypatch.setattr(encoder, "aencode_pages", aencode)


@pytest.fixture
def counter(encoder: MultiVectorEncoder, monkeypatch: pytest.MonkeyPatch) -> PageCounter:
    return PageCounter(encoder, monkeypatch)


@pytest.fixture
def pages(docs: Path, page_store: PageStore) -> list[Document]:
    """The report's pages and the blank one, as any vector store gives them back."""
    assert page_store == PageStore()
    paths = [docs / "report.pdf", docs / "blank.pdf"]
    return PDFPageLoader(paths, max_visual_tokens=64).load()


def scores(documents: Iterable[Document]) -> list[float]:
    return [document.metadata["relevance_score"] for document in documents]


def refs(documents: Iterable[Document]) -> list[str]:
    return [document.metadata["page_ref"] for document in documents]


async def test_pages_come_back_as_scored_copies_best_first(
    pages: list[Document], encoder: MultiVectorEncoder, page_store: PageStore
) -> None:
    compressor = LateInteractionCompressor(encoder=encoder, top_n=None)
    before = copy.deepcopy(pages)
    found = compressor.compress_documents(pages, QUESTION)
    assert pages == before
    vectors = encoder.encode_pages([page_store.get(page.page_content) for page in pages])
    direct = maxsim_scores(encoder.encode_queries([QUESTION])[0], vectors)
    assert scores(found) == pytest.approx(sorted(direct, reverse=True), rel=1e-5)
    assert len(set(scores(found))) == 4
    assert refs(found) == [pages[n].page_content for n in (-direct).argsort()]
    for document in found:
        del document.metadata["relevance_score"]
    assert sorted(found, key=pages.index) == pages
    assert await compressor.acompress_documents(pages, QUESTION) == (
        compressor.compress_documents(pages, QUESTION)
    )


async def test_top_n_is_the_number_of_pages(
    pages: list[Document], encoder: MultiVectorEncoder
) -> None:
    whole = LateInteractionCompressor(encoder=encoder, top_n=None).compress_documents(
        pages, QUESTION
    )
    for top_n in (1, 3):
        some = LateInteractionCompressor(encoder=encoder, top_n=top_n)
        assert some.compress_documents(pages, QUESTION) == whole[:top_n]
        assert await some.acompress_documents(pages, QUESTION) == whole[:top_n]
        assert some.compress_documents([], QUESTION) == []
    with pytest.raises(ValidationError):
        LateInteractionCompressor(encoder=encoder, top_n=0)


async def test_pages_of_the_index_are_scored_by_what_it_holds(
    pages: list[Document],
    index: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    counter: PageCounter,
) -> None:
    compressor = LateInteractionCompressor(index=index, encoder=encoder, top_n=None)
    found = compressor.compress_documents(pages, QUESTION)
    hits = index.search(encoder.encode_queries([QUESTION])[0], k=4)
    assert refs(found) == [hit.page_ref for hit in hits]
    assert scores(found) == [hit.score for hit in hits]
    assert await compressor.acompress_documents(pages, QUESTION) == found
    retriever = LateInteractionRetriever(index=index, encoder=encoder)
    again = compressor.compress_documents(retriever.invoke(QUESTION), QUESTION)
    assert scores(again) == scores(found)
    assert counter.batches == []


async def test_other_pages_are_encoded_in_one_batch_once_each(
    pages: list[Document],
    index: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    tmp_path: Path,
    counter: PageCounter,
) -> None:
    more = PDFPageLoader(write_pdf(tmp_path / "more.pdf", ["One", "Two"]), max_visual_tokens=64)
    mixed = [*more.load(), *pages, *more.load()]
    compressor = LateInteractionCompressor(index=index, encoder=encoder, top_n=None)
    found = compressor.compress_documents(mixed, QUESTION)
    assert await compressor.acompress_documents(mixed, QUESTION) == found
    assert counter.batches == [2, 2]
    assert len(found) == 8
    alone = LateInteractionCompressor(encoder=encoder, top_n=None).compress_documents(
        mixed, QUESTION
    )
    assert refs(found) == refs(alone)
    assert scores(found) == pytest.approx(scores(alone), rel=1e-4)


def test_a_page_that_has_changed_since_is_not_scored_by_its_old_vectors(
    encoder: MultiVectorEncoder, tmp_path: Path, page_store: PageStore, counter: PageCounter
) -> None:
    pdf = write_pdf(tmp_path / "report.pdf", ["Old"])
    with LateInteractionIndex.create(tmp_path / "ix", manifest=Manifest.of(encoder)) as index:
        sync_index(index, encoder, [pdf])
        counter.batches.clear()
        write_pdf(pdf, ["Entirely new"])
        pages = PDFPageLoader(pdf, max_visual_tokens=64).load()
        [found] = LateInteractionCompressor(index=index, encoder=encoder).compress_documents(
            pages, QUESTION
        )
    assert counter.batches == [1]
    [alone] = LateInteractionCompressor(encoder=encoder).compress_documents(pages, QUESTION)
    assert found.metadata["relevance_score"] == pytest.approx(
        alone.metadata["relevance_score"], rel=1e-4
    )


def test_pages_that_are_encoded_now_score_as_a_pooled_index_would_score_them(
    pages: list[Document],
    index: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    docs: Path,
    tmp_path: Path,
) -> None:
    with LateInteractionIndex.create(
        tmp_path / "pooled",
        manifest=Manifest.of(encoder),
        compression=Compression(token_pooling=3),
    ) as pooled:
        sync_index(pooled, encoder, [docs])
        compressor = LateInteractionCompressor(index=pooled, encoder=encoder, top_n=None)
        stored = compressor.compress_documents(pages, QUESTION)
        assert pooled.remove_document((docs / "report.pdf").as_posix())
        mixed = compressor.compress_documents(pages, QUESTION)
    assert mixed == stored
    whole = LateInteractionCompressor(index=index, encoder=encoder, top_n=None)
    assert scores(whole.compress_documents(pages, QUESTION)) != scores(stored)


def test_texts_and_pages_without_a_picture_are_refused(
    pages: list[Document],
    index: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    tmp_path: Path,
) -> None:
    compressor = LateInteractionCompressor(encoder=encoder, page_store_path=str(tmp_path / "empty"))
    with pytest.raises(PageReferenceError):
        compressor.compress_documents(pages, QUESTION)
    for unknown in (None, index):
        reranking = LateInteractionCompressor(index=unknown, encoder=encoder)
        with pytest.raises(OptionError, match="note is not a page"):
            reranking.compress_documents([*pages, Document("Revenue", id="note")], QUESTION)


def test_the_index_of_another_model_is_refused(
    pages: list[Document], index: LateInteractionIndex, colqwen2: Path
) -> None:
    other = LateInteractionCompressor(
        index=index, model=str(colqwen2), device="cpu", max_visual_tokens=32
    )
    with pytest.raises(IndexMismatchError, match="32 visual tokens"):
        other.compress_documents(pages, QUESTION)


def test_a_folder_is_shared_with_a_retriever_and_pickles_hold_options(
    index_folder: Path, pages: list[Document]
) -> None:
    retriever = LateInteractionRetriever(index=index_folder, device="cpu")
    compressor = LateInteractionCompressor(index=str(index_folder), device="cpu", top_n=2)
    found = retriever.invoke(QUESTION, k=5)
    reranked = compressor.compress_documents(found, QUESTION)
    assert [page.id for page in reranked] == [page.id for page in found[:2]]
    unpickled: LateInteractionCompressor = pickle.loads(pickle.dumps(compressor))
    assert unpickled.compress_documents(found, QUESTION) == reranked


async def test_langchains_own_compression_retriever_reranks_a_vector_store(
    pages: list[Document],
    index: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    tiny_checkpoint: Path,
) -> None:
    retrievers = pytest.importorskip("langchain_classic.retrievers.contextual_compression")
    embeddings = VDREmbeddings(model=str(tiny_checkpoint), device="cpu", max_visual_tokens=64)
    store = InMemoryVectorStore(embeddings)
    store.add_documents(pages)
    compressor = LateInteractionCompressor(index=index, encoder=encoder, top_n=2)
    reranking = retrievers.ContextualCompressionRetriever(
        base_retriever=store.as_retriever(), base_compressor=compressor
    )
    found = reranking.invoke(QUESTION)
    assert found == compressor.compress_documents(pages, QUESTION)
    assert await reranking.ainvoke(QUESTION) == found
