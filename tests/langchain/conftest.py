"""PDFs and embeddings that the LangChain tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.pdfs import write_pdf
from tests.tiny_colqwen2 import write_base

from vdr_integrations.index import sync_index
from vdr_integrations.langchain import LateInteractionRetriever, PDFPageLoader, VDREmbeddings
from vdr_integrations.pages import PageStore

if TYPE_CHECKING:
    from vdr_integrations import PageSearcher

MakePdf = Callable[[str, Sequence[str]], Path]


@pytest.fixture
def make_pdf(tmp_path: Path) -> MakePdf:
    """Write a PDF into the test's folder; see ``write_pdf``."""
    return lambda name, texts: write_pdf(tmp_path / name, texts)


@pytest.fixture
def report(make_pdf: MakePdf) -> Path:
    """A PDF of three pages."""
    return make_pdf("report.pdf", ["Revenue grew", "Costs fell", "Outlook is calm"])


@pytest.fixture
def embeddings(tiny_checkpoint: Path, page_store: PageStore) -> VDREmbeddings:
    """Embeddings of the tiny checkpoint over a store of this test's own."""
    assert page_store == PageStore()
    return VDREmbeddings(model=str(tiny_checkpoint), device="cpu", max_visual_tokens=64)


@pytest.fixture
def load(page_store: PageStore) -> Callable[[Path], list[str]]:
    """The page references of a PDF, its pages stored."""
    assert page_store == PageStore()
    return lambda path: [
        document.page_content for document in PDFPageLoader(path, max_visual_tokens=64).load()
    ]


@pytest.fixture
def late_report(
    report: Path, page_store: PageStore, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LateInteractionRetriever]:
    """A retriever over a late-interaction index of the report."""
    assert page_store == PageStore()
    base = tmp_path_factory.mktemp("base") / "colqwen2-base"
    write_base(base)
    retriever = LateInteractionRetriever(
        index=tmp_path / "late", model=str(base), device="cpu", max_visual_tokens=64
    )
    searcher: PageSearcher = retriever.searcher
    sync_index(searcher.create(), searcher.encoder, [report])
    yield retriever
    retriever.close()
