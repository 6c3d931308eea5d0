"""PDFPageLoader and PDFPageBlobParser: documents, ids, options, bad files."""

from __future__ import annotations

import json
import logging
import pickle
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import pymupdf
import pytest
from langchain_core.document_loaders import BaseBlobParser, BaseLoader
from langchain_core.documents.base import Blob
from tests.page_warnings import WARNING, spoil_a_picture
from tests.unprivileged import as_nobody, let_nobody_in

from vdr_integrations import open_pdf
from vdr_integrations.errors import (
    DocumentOpenError,
    DocumentPasswordError,
    OptionError,
    PageError,
    PageGeometryError,
    PageStoreError,
)
from vdr_integrations.langchain import PDFPageBlobParser, PDFPageLoader
from vdr_integrations.pages import PageStore
from vdr_integrations.types import PixelBudget

AES_256 = 5
"""PyMuPDF's PDF_ENCRYPT_AES_256, which its type information leaves out."""

MakePdf = Callable[[str, Sequence[str]], Path]

pytestmark = pytest.mark.usefixtures("page_store")


def test_each_page_becomes_a_document_of_its_reference(report: Path, page_store: PageStore) -> None:
    documents = PDFPageLoader(report).load()
    with open_pdf(report) as pdf:
        images = [page.to_image(PixelBudget()) for page in pdf]
    assert [document.page_content for document in documents] == [str(i.ref) for i in images]
    for document, image in zip(documents, images, strict=True):
        stored = page_store.get(document.page_content).image
        assert stored.tobytes() == image.image.tobytes()


def test_metadata_says_where_the_page_is_and_what_it_says(report: Path) -> None:
    document = PDFPageLoader(report).load()[1]
    assert document.metadata == {
        "source": str(report),
        "file_name": "report.pdf",
        "page": 1,
        "page_number": 2,
        "page_label": "2",
        "total_pages": 3,
        "page_ref": document.page_content,
        "page_id": document.id,
        "citation": "report.pdf, page 2 of 3",
        "page_text": document.metadata["page_text"],
        "page_warnings": "",
    }
    assert document.metadata["page_text"].strip() == "Costs fell"
    assert json.loads(json.dumps(document.metadata)) == document.metadata


def test_the_text_layer_can_be_left_out(report: Path) -> None:
    documents = PDFPageLoader(report, include_text=False).load()
    assert not [document for document in documents if "page_text" in document.metadata]


def test_printed_labels_are_kept(report: Path, tmp_path: Path) -> None:
    labelled = tmp_path / "labelled.pdf"
    with pymupdf.open(report) as document:
        document.set_page_labels([{"startpage": 0, "style": "r", "firstpagenum": 3}])
        document.save(labelled)
    labels = [d.metadata["page_label"] for d in PDFPageLoader(labelled).lazy_load()]
    assert labels == ["iii", "iv", "v"]


def test_ids_are_uuids_that_stay_when_the_content_changes(make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", ["one", "two"])
    before = PDFPageLoader(path).load()
    make_pdf("a.pdf", ["one", "changed"])
    after = PDFPageLoader(path).load()
    assert [d.id for d in before] == [d.id for d in after]
    assert before[1].page_content != after[1].page_content
    assert [uuid.UUID(d.id).version for d in after] == [5, 5]


def test_blank_pages_and_copies_of_a_file_keep_ids_of_their_own(make_pdf: MakePdf) -> None:
    paths = [make_pdf("a.pdf", ["", ""]), make_pdf("b.pdf", ["", ""])]
    documents = PDFPageLoader(paths).load()
    assert len({document.page_content for document in documents}) == 1
    assert len({document.id for document in documents}) == 4


def test_pages_are_rendered_when_they_are_asked_for(report: Path, page_store: PageStore) -> None:
    root = Path(page_store.root)
    documents = PDFPageLoader(report).lazy_load()
    assert not list(root.rglob("*.png"))
    next(documents)
    assert len(list(root.rglob("*.png"))) == 1


def test_the_budget_and_the_store_can_be_chosen(
    report: Path, tmp_path: Path, page_store: PageStore
) -> None:
    chosen = PageStore(tmp_path / "chosen")
    loader = PDFPageLoader(report, max_visual_tokens=32, page_store_path=str(tmp_path / "chosen"))
    ref = loader.load()[0].page_content
    image = chosen.get(ref)
    assert (image.height, image.width) == PixelBudget(32).fill(height=200, width=300)
    assert ref not in page_store


def test_a_list_is_loaded_in_its_order(make_pdf: MakePdf) -> None:
    paths = [make_pdf("b.pdf", ["one"]), make_pdf("a.pdf", ["two"])]
    sources = [document.metadata["source"] for document in PDFPageLoader(paths).load()]
    assert sources == [str(path) for path in paths]


def test_a_folder_gives_the_pdfs_below_it_by_name(make_pdf: MakePdf) -> None:
    first, second = make_pdf("in/a.pdf", ["one"]), make_pdf("in/sub/B.PDF", ["two"])
    (first.parent / "notes.txt").write_text("no PDF")
    sources = [d.metadata["source"] for d in PDFPageLoader(first.parent).load()]
    assert sources == [str(first), str(second)]


def test_a_pdf_without_a_suffix_is_read_and_a_file_is_read_under_one_name(
    make_pdf: MakePdf,
) -> None:
    scan = make_pdf("in/scan", ["one"])
    (scan.parent / "LICENSE").write_text("no PDF")
    (scan.parent / "a link.pdf").symlink_to(scan)
    sources = [d.metadata["source"] for d in PDFPageLoader(scan.parent).load()]
    assert sources == [str(scan)]


def test_a_folder_that_cannot_be_listed_is_left_out_and_the_rest_is_read(
    make_pdf: MakePdf, page_store: PageStore
) -> None:
    report, locked = make_pdf("in/a.pdf", ["one"]), make_pdf("in/sub/b.pdf", ["two"])
    PDFPageLoader(report).load()
    let_nobody_in(report.parent, page_store.root)
    locked.parent.chmod(0o000)
    errors: list[PageError] = []
    with as_nobody():
        documents = PDFPageLoader(report.parent, on_error=errors.append).load()
        with pytest.raises(DocumentOpenError, match="the folder cannot be listed"):
            PDFPageLoader(report.parent).load()
    assert [document.metadata["source"] for document in documents] == [str(report)]
    assert [error.source for error in errors] == [str(locked.parent)]


def test_a_folder_without_pdfs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PageError, match=r"\.pdf"):
        PDFPageLoader(tmp_path).load()


def test_a_bad_file_raises_an_error_that_names_it(make_pdf: MakePdf, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"no PDF at all")
    documents = PDFPageLoader([make_pdf("a.pdf", ["one"]), bad]).lazy_load()
    assert next(documents).metadata["page_number"] == 1
    with pytest.raises(DocumentOpenError, match=r"bad\.pdf"):
        next(documents)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises((PageError, OSError), match=r"missing\.pdf"):
        PDFPageLoader(tmp_path / "missing.pdf").load()


def test_bad_files_and_pages_can_be_passed_over(
    make_pdf: MakePdf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"no PDF at all")
    missing = tmp_path / "missing.pdf"
    thin = _with_a_page_too_thin_to_encode(tmp_path / "thin.pdf")
    good = make_pdf("good.pdf", ["one"])
    with caplog.at_level(logging.WARNING, logger="vdr_integrations"):
        documents = PDFPageLoader([missing, bad, thin, good], on_error="warn").load()
    places = [(d.metadata["source"], d.metadata["page_number"]) for d in documents]
    assert places == [(str(thin), 1), (str(thin), 3), (str(good), 1)]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    assert "missing.pdf" in caplog.text
    assert "bad.pdf" in caplog.text
    assert "thin.pdf page 2" in caplog.text


def test_errors_can_be_collected(make_pdf: MakePdf, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"no PDF at all")
    errors: list[PageError] = []
    documents = PDFPageLoader([bad, make_pdf("a.pdf", ["one"])], on_error=errors.append).load()
    assert len(documents) == 1
    assert [error.source for error in errors] == [str(bad)]


def test_a_page_that_cannot_be_encoded_is_refused_by_default(tmp_path: Path) -> None:
    thin = _with_a_page_too_thin_to_encode(tmp_path / "thin.pdf")
    with pytest.raises(PageGeometryError, match=r"thin\.pdf page 2"):
        PDFPageLoader(thin).load()


@pytest.fixture
def broken_store(tmp_path: Path) -> str:
    (tmp_path / "taken").write_text("a file")
    return str(tmp_path / "taken")


def test_a_store_that_cannot_be_written_is_an_error_of_the_page(
    report: Path, broken_store: str
) -> None:
    with pytest.raises(PageStoreError, match="VDR_PAGE_STORE") as caught:
        PDFPageLoader(report, page_store_path=broken_store).load()
    assert (caught.value.source, caught.value.page_number) == (str(report), 1)
    with pytest.raises(PageStoreError, match=broken_store):
        PDFPageBlobParser(page_store_path=broken_store).parse(Blob.from_path(report))
    errors: list[PageError] = []
    loader = PDFPageLoader(report, page_store_path=broken_store, on_error=errors.append)
    assert loader.load() == []
    assert [error.page_number for error in errors] == [1, 2, 3]


def test_a_store_that_takes_no_page_is_told_once_and_never_an_empty_result(
    report: Path, broken_store: str, caplog: pytest.LogCaptureFixture
) -> None:
    loader = PDFPageLoader([report] * 9, page_store_path=broken_store, on_error="warn")
    with (
        caplog.at_level(logging.WARNING, logger="vdr_integrations"),
        pytest.raises(PageStoreError, match=broken_store),
    ):
        loader.load()
    [record] = caplog.records
    assert f"{report} page 1" in record.getMessage()


def test_a_page_that_the_store_does_not_take_can_be_passed_over(
    report: Path, page_store: PageStore, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = (document.page_content for document in PDFPageLoader(report).load())
    for ref in (first, second):
        page_store.path(ref).unlink()
        page_store.path(ref).mkdir()
    loader = PDFPageLoader(report, on_error="warn")
    for _ in range(2):  # each run warns
        with caplog.at_level(logging.DEBUG, logger="vdr_integrations.pages.on_error"):
            assert [document.page_content for document in loader.lazy_load()] == [third]
        assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG"]
        assert "report.pdf page 2" in caplog.text
        caplog.clear()


def test_warnings_of_a_page_are_metadata_and_logged_once(
    make_pdf: MakePdf, caplog: pytest.LogCaptureFixture
) -> None:
    path = spoil_a_picture(make_pdf("a.pdf", ["apples", "pears"]), 2)
    with caplog.at_level(logging.WARNING, logger="vdr_integrations"):
        whole, partly = PDFPageLoader(path).load()
    assert whole.metadata["page_warnings"] == ""
    assert partly.metadata["page_warnings"] == WARNING
    assert json.loads(json.dumps(partly.metadata)) == partly.metadata
    assert caplog.messages == [f"{path} page 2: {WARNING}"]


def test_an_unknown_way_with_errors_is_refused(report: Path) -> None:
    with pytest.raises(OptionError, match="on_error"):
        PDFPageLoader(report, on_error="ignore")  # pyright: ignore[reportArgumentType]  # the point


def test_a_size_that_cannot_be_is_refused_at_once(report: Path) -> None:
    with pytest.raises(OptionError, match="max_visual_tokens"):
        PDFPageLoader(report, max_visual_tokens=0)


def test_an_encrypted_pdf_opens_with_its_password_and_never_shows_it(
    report: Path, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.pdf"
    with pymupdf.open(report) as document:
        document.save(locked, encryption=AES_256, user_pw="sesame")
    loader = PDFPageLoader(locked, password="sesame")
    assert len(loader.load()) == 3
    assert "sesame" not in repr(loader)
    with pytest.raises(DocumentPasswordError):
        PDFPageLoader(locked).load()
    with pytest.raises(DocumentPasswordError) as wrong:
        PDFPageLoader(locked, password="open barley").load()
    assert "barley" not in str(wrong.value)


async def test_loading_works_without_blocking(report: Path) -> None:
    loader = PDFPageLoader(report)
    assert await loader.aload() == loader.load()


def test_a_loader_can_be_pickled(report: Path) -> None:
    loader = PDFPageLoader(report, max_visual_tokens=64)
    assert isinstance(loader, BaseLoader)
    assert pickle.loads(pickle.dumps(loader)).load() == loader.load()


def test_a_blob_of_a_file_gives_what_the_loader_gives(report: Path) -> None:
    parser = PDFPageBlobParser()
    assert isinstance(parser, BaseBlobParser)
    assert parser.parse(Blob.from_path(report)) == PDFPageLoader(report).load()


def test_a_blob_in_memory_is_known_by_its_absolute_path_or_url(report: Path) -> None:
    for path in ("/somewhere/report.pdf", "s3://bucket/report.pdf"):
        blob = Blob.from_data(report.read_bytes(), path=path)
        documents = PDFPageBlobParser().parse(blob)
        assert {d.metadata["source"] for d in documents} == {path}
        assert {d.metadata["file_name"] for d in documents} == {"report.pdf"}
    assert [d.page_content for d in documents] == [
        d.page_content for d in PDFPageLoader(report).load()
    ]


def test_blobs_without_a_name_are_known_by_their_content(make_pdf: MakePdf) -> None:
    first = Blob.from_data(make_pdf("a.pdf", ["one"]).read_bytes())
    second = Blob.from_data(make_pdf("b.pdf", ["two"]).read_bytes())
    parser = PDFPageBlobParser()
    [one], [two] = parser.parse(first), parser.parse(second)
    assert one.id != two.id
    assert one.metadata["source"].startswith("sha256:")
    assert parser.parse(first) == [one]


def test_metadata_of_a_blob_is_kept(report: Path) -> None:
    blob = Blob.from_path(report, metadata={"tenant": "acme", "page": "ours wins"})
    document = PDFPageBlobParser().parse(blob)[2]
    assert document.metadata["tenant"] == "acme"
    assert document.metadata["page"] == 2


def test_a_blob_that_is_no_pdf_is_refused_by_name() -> None:
    blob = Blob.from_data(b"no PDF at all", path="notes.txt")
    with pytest.raises(DocumentOpenError, match=r"notes\.txt"):
        PDFPageBlobParser().parse(blob)


def _with_a_page_too_thin_to_encode(path: Path) -> Path:
    with pymupdf.open() as document:
        for width, height in [(300, 200), (2000, 4), (300, 200)]:
            document.new_page(width=width, height=height)
        document.save(path)
    return path
