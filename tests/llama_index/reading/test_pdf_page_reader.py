"""Table A4 of the contract notes: readers, identities, and files that cannot be read."""

from __future__ import annotations

import logging
import os
import uuid
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from llama_index.core import SimpleDirectoryReader
from llama_index.core.readers.base import ReaderConfig
from llama_index.core.schema import Document, MetadataMode
from PIL import Image
from tests.pdfs import encrypt_pdf, write_pdf

from vdr_integrations.errors import (
    DocumentOpenError,
    DocumentPasswordError,
    PageError,
    PageStoreError,
)
from vdr_integrations.index.stored_page import page_id
from vdr_integrations.llama_index import PDFPageNodeParser, PDFPageReader

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations import PageStore


def ids(documents: list[Document]) -> set[str]:
    return {document.id_ for document in documents}


def test_each_page_is_a_document_that_says_where_it_is_from(
    reader: PDFPageReader, report: Path, page_store: PageStore
) -> None:
    documents = reader.load_data(report)
    texts = ["Revenue grew", "Costs fell", "Outlook is calm"]
    assert len(documents) == 3
    for number, document in enumerate(documents, start=1):
        reference = document.metadata.pop("page_ref")
        assert document.metadata == {
            "page_label": str(number),
            "page_number": number,
            "total_pages": 3,
            "source": str(report),
            "file_name": "report.pdf",
            "file_path": str(report),
            "citation": f"report.pdf, page {number} of 3",
            "page_text": document.metadata["page_text"],
            "page_id": page_id(str(report), number),
            "page_warnings": "",
        }
        assert document.text == document.metadata["citation"]
        assert document.metadata["page_text"].strip() == texts[number - 1]
        assert document.image_resource is not None
        path = page_store.path(reference)
        assert document.image_resource.path == path
        assert document.image_resource.data is None
        page = page_store.get(reference)
        with Image.open(path) as image:
            assert image.format == "PNG"  # lossless: small print survives
            assert image.tobytes() == page.image.tobytes()
        assert (page.width // 28) * (page.height // 28) <= 64
    assert documents[1].text == "report.pdf, page 2 of 3"


def test_documents_are_rendered_when_they_are_asked_for(
    reader: PDFPageReader, report: Path, page_store: PageStore
) -> None:
    pages = iter(reader.lazy_load_data(report))
    first = next(pages)
    assert first.metadata["page_number"] == 1
    assert len(list(page_store.root.rglob("*.png"))) == 1
    assert len(list(pages)) == 2


async def test_load_data_gives_a_list_also_asynchronously(
    reader: PDFPageReader, report: Path
) -> None:
    documents = reader.load_data(str(report))
    assert type(documents) is list
    assert await reader.aload_data(report) == documents
    assert list(await reader.alazy_load_data(report)) == documents


def test_a_list_of_files_is_read_in_order(
    reader: PDFPageReader, report: Path, tmp_path: Path
) -> None:
    other = write_pdf(tmp_path / "other.pdf", ["Other"])
    documents = reader.load_data([other, report])
    names = [document.metadata["file_name"] for document in documents]
    assert names == ["other.pdf"] + ["report.pdf"] * 3


def test_ids_are_stable_uuids_of_place_not_of_content(
    reader: PDFPageReader, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = reader.load_data(report)
    nodes = PDFPageNodeParser()(documents)
    assert all(uuid.UUID(some.id_).version == 5 for some in [*documents, *nodes])
    monkeypatch.chdir(tmp_path)
    assert ids(reader.load_data("report.pdf")) == ids(documents)
    write_pdf(report, ["Something", "else", "entirely"])
    assert ids(reader.load_data(os.fspath(report))) == ids(documents)
    assert {n.id_ for n in PDFPageNodeParser()(reader.load_data(report))} == {
        node.id_ for node in nodes
    }


def test_the_same_pdf_at_two_paths_and_two_equal_pages_never_collide(
    reader: PDFPageReader, tmp_path: Path
) -> None:
    first = write_pdf(tmp_path / "a" / "x.pdf", ["same", "same"])
    second = tmp_path / "b" / "x.pdf"
    second.parent.mkdir()
    second.write_bytes(first.read_bytes())
    link = tmp_path / "link.pdf"
    link.symlink_to(first)
    documents = reader.load_data([first, second, link])
    assert len({document.metadata["page_ref"] for document in documents}) == 1
    assert len(ids(documents)) == 6
    assert len({document.hash for document in documents}) == 6
    assert len({node.id_ for node in PDFPageNodeParser()(documents)}) == 6


def test_bytes_are_known_by_their_hash(reader: PDFPageReader, report: Path) -> None:
    content = report.read_bytes()
    for form in (content, bytearray(content), BytesIO(content)):
        documents = reader.load_data(form)
        assert documents[0].metadata["file_path"].startswith("sha256:")
        assert ids(documents) == ids(reader.load_data(content))


def test_extra_info_is_kept_and_cannot_replace_what_the_page_is(
    reader: PDFPageReader, report: Path
) -> None:
    info = {"file_path": "s3://b/r.pdf", "year": 2023, "page_ref": "x", "page_number": 9}
    info["source"] = "intranet"
    document = reader.load_data(report, extra_info=info)[0]
    assert document.metadata["page_ref"].startswith("vdr-page:")
    assert document.metadata["page_number"] == 1
    assert document.metadata["year"] == 2023
    assert document.metadata["file_path"] == document.metadata["source"] == "s3://b/r.pdf"


def test_files_of_another_file_system_are_read_through_it(
    reader: PDFPageReader, report: Path
) -> None:
    remote = MemoryFileSystem()
    remote.pipe_file("/vdr/report.pdf", report.read_bytes())
    documents = reader.load_data("/vdr/report.pdf", fs=remote)
    assert documents[0].metadata["file_name"] == "report.pdf"
    assert documents[0].metadata["source"] == "memory:///vdr/report.pdf"
    with pytest.raises(DocumentOpenError, match=r"gone\.pdf"):
        reader.load_data("/vdr/gone.pdf", fs=remote)


# --- what cannot be read ----------------------------------------------------------------------


def test_a_bad_file_raises_an_error_that_names_it(reader: PDFPageReader, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"no pdf")
    with pytest.raises(DocumentOpenError, match=r"bad\.pdf"):
        reader.load_data(bad)
    with pytest.raises(DocumentOpenError, match=r"gone\.pdf"):
        reader.load_data(tmp_path / "gone.pdf")
    with pytest.raises(DocumentOpenError, match="folder"):
        reader.load_data(tmp_path)
    with pytest.raises(DocumentOpenError, match="URL"):
        reader.load_data("https://example.org/a.pdf")


def test_the_other_files_of_a_list_go_through(
    reader: PDFPageReader, report: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"no pdf")
    with caplog.at_level(logging.WARNING):
        documents = reader.load_data([bad, report, tmp_path / "gone.pdf"])
    assert len(documents) == 3
    assert [error.source for error in reader.errors] == [str(bad), str(tmp_path / "gone.pdf")]
    assert str(bad) in caplog.text
    with pytest.raises(DocumentOpenError, match=r"bad\.pdf"):
        reader.load_data([bad, tmp_path / "gone.pdf"])
    strict = PDFPageReader(on_error="raise")
    with pytest.raises(DocumentOpenError, match=r"bad\.pdf"):
        strict.load_data([report, bad])


def test_the_other_pages_of_a_file_go_through(reader: PDFPageReader, tmp_path: Path) -> None:
    import pymupdf

    path = tmp_path / "odd.pdf"
    with pymupdf.open() as pdf:
        for width in (300, 14_000, 300):
            pdf.new_page(width=width, height=20 if width > 300 else 200)
        pdf.save(path)
    documents = reader.load_data(path)
    assert [document.metadata["page_number"] for document in documents] == [1, 3]
    (error,) = reader.errors
    assert error.page_number == 2
    with pytest.raises(PageError, match="page 2"):
        PDFPageReader(on_error="raise").load_data(path)


def test_encrypted_files_open_with_the_password_only(
    reader: PDFPageReader, report: Path, caplog: pytest.LogCaptureFixture
) -> None:
    locked = encrypt_pdf(report, password="open sesame")
    with pytest.raises(DocumentPasswordError):
        reader.load_data(locked)
    reader = PDFPageReader.model_validate({"password": "open sesame"})
    assert len(reader.load_data([locked, report])) == 6
    assert "open sesame" not in caplog.text


# --- in LlamaIndex's own readers --------------------------------------------------------------


@pytest.mark.parametrize("filename_as_id", [False, True])
def test_a_directory_reader_reads_pages(
    reader: PDFPageReader, report: Path, tmp_path: Path, *, filename_as_id: bool
) -> None:
    write_pdf(tmp_path / "sub" / "blank.pdf", [""])
    directory = SimpleDirectoryReader(
        str(tmp_path),
        recursive=True,
        required_exts=[".pdf"],
        file_extractor={".pdf": reader},
        filename_as_id=filename_as_id,
        raise_on_error=True,
    )
    documents = directory.load_data()
    assert len(documents) == 4
    nodes = PDFPageNodeParser()(documents)
    for document, node in zip(documents, nodes, strict=True):
        assert (
            document.id_.endswith(".pdf_part_0") or not filename_as_id or "_part_" in document.id_
        )
        assert "file_size" in node.metadata
        for some in (document, node):
            content = some.get_content(metadata_mode=MetadataMode.EMBED)
            assert content == document.metadata["page_ref"]
    assert len({node.id_ for node in nodes}) == 4
    assert all(uuid.UUID(node.id_) for node in nodes)


def test_a_directory_reader_skips_a_bad_file_and_goes_on(
    reader: PDFPageReader, report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.pdf").write_bytes(b"no pdf")
    directory = SimpleDirectoryReader(
        str(tmp_path), required_exts=[".pdf"], file_extractor={".pdf": reader}
    )
    assert len(directory.load_data()) == 3
    assert "bad.pdf" in capsys.readouterr().out


@pytest.mark.slow
def test_a_directory_reader_reads_pages_in_worker_processes(
    report: Path, tmp_path: Path, page_store: PageStore
) -> None:
    write_pdf(tmp_path / "other.pdf", ["Other"])
    reader = PDFPageReader(max_visual_tokens=64, page_store_path=str(page_store.root))
    directory = SimpleDirectoryReader(
        str(tmp_path), required_exts=[".pdf"], file_extractor={".pdf": reader}
    )
    documents = directory.load_data(num_workers=2)
    assert len(documents) == 4
    assert all(document.metadata["page_ref"] in page_store for document in documents)


def test_a_reader_config_takes_the_reader(reader: PDFPageReader, report: Path) -> None:
    config = ReaderConfig(reader=reader, reader_args=[str(report)])
    assert len(config.read()) == 3


def test_a_store_that_cannot_be_written_is_an_error_of_each_page(
    report: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file")
    reader = PDFPageReader(page_store_path=str(tmp_path / "taken"))
    with (
        caplog.at_level(logging.WARNING, logger="vdr_integrations"),
        pytest.raises(PageStoreError, match="VDR_PAGE_STORE") as caught,
    ):
        reader.load_data([report] * 3)
    assert (caught.value.source, caught.value.page_number) == (str(report), 1)
    assert len(caplog.records) == 1
    assert [error.page_number for error in reader.errors] == [1, 2, 3] * 3


def test_a_page_that_the_store_does_not_take_is_left_out(
    reader: PDFPageReader, report: Path, page_store: PageStore
) -> None:
    ref = reader.load_data(report)[1].metadata["page_ref"]
    page_store.path(ref).unlink()
    page_store.path(ref).mkdir()
    assert [one.metadata["page_number"] for one in reader.load_data(report)] == [1, 3]
    with pytest.raises(PageStoreError, match=r"report\.pdf page 2"):
        PDFPageReader(on_error="raise", max_visual_tokens=64).load_data(report)
