"""A tiny ColQwen2 checkpoint, and indexes of real pages that it made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from tests.pdfs import write_pdf
from tests.tiny_colqwen2 import write_base

from vdr_integrations import DenseEncoder, MultiVectorEncoder, load_encoder, open_pdf
from vdr_integrations.index import (
    DocumentRecord,
    FileState,
    LateInteractionIndex,
    Manifest,
    PageRecord,
    sync_index,
)
from vdr_integrations.langchain import LateInteractionRetriever
from vdr_integrations.pages import PageStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from langchain_core.documents import Document

QUESTION = "How did the revenue change in 2023, and why?"
NO_FILE = FileState(sha256="0" * 64, size_bytes=0, modified_ns=0, checked_ns=0)


@pytest.fixture(scope="session")
def colqwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a checkpoint, named as a known one."""
    folder = tmp_path_factory.mktemp("colqwen2") / "colqwen2-base"
    write_base(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(colqwen2: Path) -> MultiVectorEncoder:
    return load_late(colqwen2)


def load_late(folder: Path) -> MultiVectorEncoder:
    found = load_encoder(str(folder), device="cpu", max_visual_tokens=64)
    assert isinstance(found, MultiVectorEncoder)
    return found


@pytest.fixture(scope="session")
def dense_encoder(tiny_checkpoint: Path) -> DenseEncoder:
    return DenseEncoder.load(str(tiny_checkpoint), device="cpu", max_visual_tokens=64)


@pytest.fixture(scope="session")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of three pages, a PDF of one blank page and a picture."""
    folder = tmp_path_factory.mktemp("docs")
    write_pdf(folder / "report.pdf", ["Revenue grew", "Costs fell", "Outlook is calm"])
    write_pdf(folder / "blank.pdf", [""])
    Image.linear_gradient("L").convert("RGB").resize((168, 224)).save(folder / "photo.png")
    return folder


@pytest.fixture(scope="session")
def index_folder(
    docs: Path, encoder: MultiVectorEncoder, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A closed index of ``docs``, as ``vdr index`` makes it: no picture is in any page store."""
    folder = tmp_path_factory.mktemp("index") / "pages"
    with LateInteractionIndex.create(folder, manifest=Manifest.of(encoder)) as index:
        report = sync_index(index, encoder, [docs])
    assert not report.failed
    return folder


@pytest.fixture(scope="session")
def index(
    docs: Path, encoder: MultiVectorEncoder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LateInteractionIndex]:
    """An open index of the report and the blank page, with metadata."""
    folder = tmp_path_factory.mktemp("metadata") / "pages"
    with LateInteractionIndex.create(folder, manifest=Manifest.of(encoder)) as index:
        for name, year in (("report.pdf", 2023), ("blank.pdf", 2024)):
            add_pdf(index, docs / name, encoder, metadata={"year": year, "tags": ["finance"]})
        yield index


@pytest.fixture(scope="session")
def dense_index(
    encoder: MultiVectorEncoder,
    dense_encoder: DenseEncoder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LateInteractionIndex]:
    """An open index of twelve pages, with the vectors of a dense encoder."""
    folder = tmp_path_factory.mktemp("dense")
    pdf = write_pdf(folder / "chapters.pdf", [f"Chapter {n} " * n for n in range(1, 13)])
    with LateInteractionIndex.create(
        folder / "pages",
        manifest=Manifest.of(encoder),
        dense_manifest=Manifest.of(dense_encoder),
    ) as index:
        add_pdf(index, pdf, encoder, dense_encoder=dense_encoder)
        yield index


@pytest.fixture
def retriever(
    index: LateInteractionIndex, encoder: MultiVectorEncoder, page_store: PageStore
) -> LateInteractionRetriever:
    """Over ``index``, with a page store of this test's own."""
    assert page_store == PageStore()
    return LateInteractionRetriever(index=index, encoder=encoder)


def numbers(documents: Iterable[Document]) -> list[tuple[str, int]]:
    """File names and page numbers."""
    return [(d.metadata["source"].rpartition("/")[2], d.metadata["page_number"]) for d in documents]


def add_pdf(
    index: LateInteractionIndex,
    path: Path,
    encoder: MultiVectorEncoder,
    *,
    dense_encoder: DenseEncoder | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Add a PDF with what ``sync_index`` does not know of."""
    with open_pdf(path) as pdf:
        images = [page.to_image(encoder.pixel_budget) for page in pdf]
        records = [
            PageRecord(
                page.page_number,
                page_label=page.page_label,
                page_ref=str(image.ref),
                text=page.text,
                grid=encoder.page_layout(image.height, image.width),
            )
            for page, image in zip(pdf, images, strict=True)
        ]
    index.add_document(
        DocumentRecord(path.as_posix(), NO_FILE, len(records)),
        records,
        encoder.encode_pages(images),
        dense=None if dense_encoder is None else dense_encoder.encode_pages(images),
        metadata=metadata,
    )
