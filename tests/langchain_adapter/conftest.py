"""PDFs and embeddings that the LangChain tests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pymupdf
import pytest

from vdr_integrations.langchain import PDFPageLoader, VDREmbeddings
from vdr_integrations.pages import PageStore

MakePdf = Callable[[str, Sequence[str]], Path]


@pytest.fixture
def make_pdf(tmp_path: Path) -> MakePdf:
    """Write a PDF with one page for each text; an empty text makes a blank page."""

    def make(name: str, texts: Sequence[str]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with pymupdf.open() as document:
            for text in texts:
                page = document.new_page(width=300, height=200)
                page.insert_text((20, 60), text, fontsize=24)
            document.save(path)
        return path

    return make


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
