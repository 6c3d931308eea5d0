from __future__ import annotations

import gc
import hashlib
import logging
import subprocess
import sys
import weakref
from io import BytesIO
from typing import TYPE_CHECKING

import pymupdf
import pytest
from PIL import Image
from tests.machine import files_left
from tests.pages.pdfs import make_locked_pdf, make_pdf

from vdr_integrations.errors import (
    DocumentOpenError,
    DocumentPasswordError,
    EmptyDocumentError,
    MissingExtraError,
    OptionError,
    PageError,
    PageRenderError,
    ResourceError,
)
from vdr_integrations.pages import ProcessLimits, RenderLimits, open_pdf
from vdr_integrations.pages.file_limits import DEFAULT_RENDER_LIMITS
from vdr_integrations.pages.pdf.pdf_document import PdfDocument
from vdr_integrations.pages.pdf.pdf_file import PdfElsewhere, PdfHere
from vdr_integrations.pages.process_limits import DEFAULT_PROCESS_LIMITS
from vdr_integrations.pages.processes.process_pool import close_pools
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vdr_integrations.pages.pdf.pdf_file import PdfFile

SMALL = PixelBudget(max_visual_tokens=24)
PASSWORD = "correct horse"


def test_a_path_a_string_bytes_and_a_bytes_io_open_the_same_document(tmp_path: Path) -> None:
    data = make_pdf()
    path = tmp_path / "report.pdf"
    path.write_bytes(data)
    at_its_end = BytesIO(data)
    at_its_end.seek(0, 2)
    for source in (path, str(path), data, bytearray(data), at_its_end):
        with open_pdf(source) as document:
            assert len(document) == 3
            assert document.sha256 == hashlib.sha256(data).hexdigest()
            assert document[1].text.strip() == "two"


def test_a_document_is_called_by_its_path_or_by_the_name_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(make_pdf())
    assert open_pdf(path).source == str(path)
    assert open_pdf(path, name="the report").source == "the report"
    assert open_pdf(make_pdf()).source == "document"


def test_a_document_is_a_sequence_of_pages_numbered_from_one() -> None:
    with open_pdf(make_pdf()) as document:
        assert [page.page_number for page in document] == [1, 2, 3]
        assert document[-1].page_number == 3
        assert [page.page_number for page in document[1:]] == [2, 3]
        assert {page.total_pages for page in document} == {3}
        with pytest.raises(IndexError):
            document[3]


def test_a_page_works_without_its_document_and_not_after_it_was_closed() -> None:
    page = open_pdf(make_pdf(), name="a.pdf")[2]
    gc.collect()
    assert page.text.strip() == "three"

    with open_pdf(make_pdf(), name="a.pdf") as document:
        page = document[1]
    document.close()
    for use in (lambda: page.text, lambda: page.page_label, lambda: page.render(SMALL)):
        with pytest.raises(DocumentOpenError, match=r"a\.pdf page 2: the document is closed"):
            use()


def here() -> PdfFile:
    return PdfHere(make_pdf(), source="a.pdf", password=None, limits=DEFAULT_RENDER_LIMITS)


def elsewhere() -> PdfFile:
    return PdfElsewhere(
        make_pdf(),
        source="a.pdf",
        password=None,
        limits=DEFAULT_RENDER_LIMITS,
        process_limits=DEFAULT_PROCESS_LIMITS,
    )


@pytest.mark.parametrize("open_file", [here, elsewhere])
def test_a_document_and_its_pages_are_let_go_of_together(open_file: Callable[[], PdfFile]) -> None:
    opened = open_file()
    file, document = weakref.ref(opened), PdfDocument(opened)
    page = document[0]
    del opened, document
    gc.collect()
    assert file() is not None
    del page
    gc.collect()
    assert file() is None


@pytest.mark.parametrize("password", [None, "wrong secret", "", "\x00", "\ud800"])
def test_an_encrypted_document_is_refused_without_its_password(password: str | None) -> None:
    with pytest.raises(DocumentPasswordError) as caught:
        open_pdf(make_locked_pdf(user=PASSWORD), password=password, name="a.pdf")
    assert str(caught.value).startswith("a.pdf: it is encrypted")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("password", [PASSWORD, "owner"])
def test_either_password_opens_an_encrypted_document(password: str) -> None:
    with open_pdf(make_locked_pdf(user=PASSWORD), password=password) as document:
        assert document[0].text.strip() == "one"
        assert document[0].render(SMALL).getextrema() != ((255, 255),) * 3


def test_a_document_with_only_an_owner_password_opens_without_it() -> None:
    with open_pdf(make_locked_pdf(user="")) as document:
        assert document[0].text.strip() == "one"


def test_a_password_for_a_document_that_needs_none_is_ignored() -> None:
    assert len(open_pdf(make_pdf(), password="needless")) == 3


def png() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (40, 40)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello " * 500,
        png(),
        b"<html><body>hello</body></html>",
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><!-- %PDF-1.7 --></svg>',
        b"PK\x03\x04" + bytes(100),
        b"%PDF-1.7\n",
        b"%PDF-1.7\n" + bytes(3000),
    ],
    ids=["empty", "text", "png", "html", "svg", "svg-pdf", "zip", "header", "zeros"],
)
def test_what_is_not_a_pdf_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentOpenError, match=r"^a\.pdf: "):
        open_pdf(data, name="a.pdf")


@pytest.mark.parametrize(
    "data",
    [make_pdf(["words"]).partition(b"\n")[2], b"x" * 2000 + make_pdf(["words"])],
    ids=["no-header", "late-header"],
)
def test_a_pdf_without_its_header_at_the_start_is_repaired(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (page,) = open_pdf(data, name="a.pdf")
    assert page.text.strip() == "words"
    assert "a.pdf: damaged, and repaired" in caplog.text


def test_a_pdf_without_pages_is_refused() -> None:
    data = (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>"
    )
    with pytest.raises(EmptyDocumentError, match=r"a\.pdf: it has no pages"):
        open_pdf(data, name="a.pdf")


def test_a_broken_page_tree_is_refused() -> None:
    with pytest.raises(DocumentOpenError, match="page tree is broken"):
        open_pdf(make_pdf().replace(b"/Kids", b"/Kidz"))


def test_a_page_count_that_cannot_be_is_refused() -> None:
    with pytest.raises(DocumentOpenError):
        open_pdf(make_pdf().replace(b"/Count 3", b"/Count 2000000000"))


def test_pages_that_the_file_only_claims_to_have_fail_alone() -> None:
    document = open_pdf(make_pdf().replace(b"/Count 3", b"/Count 5"), name="a.pdf")
    assert [page.text.strip() for page in document[:3]] == ["one", "two", "three"]
    for page in document[3:]:
        with pytest.raises(PageRenderError, match=rf"a\.pdf page {page.page_number}: "):
            page.render(SMALL)


def test_a_document_cut_anywhere_opens_repaired_or_is_refused(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    data = make_pdf()
    opened = 0
    for length in range(0, len(data), 23):
        try:
            for page in open_pdf(data[:length], name="cut.pdf"):
                opened += page.render(SMALL).size == page.rendered_size(SMALL)[::-1]
        except (DocumentOpenError, PageRenderError):
            continue
    assert opened
    assert "cut.pdf: damaged, and repaired while opening" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_flipped_bytes_give_pages_or_typed_errors() -> None:
    data = make_pdf()
    for position in range(9, len(data), 17):
        damaged = bytearray(data)
        damaged[position] ^= 0x55
        try:
            for page in open_pdf(damaged):
                page.render(SMALL)
                assert page.text is not None
        except PageError:
            continue


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (RenderLimits(max_file_bytes=100), "at most 100 are read"),
        (RenderLimits(max_pages=2), "3 pages; at most 2 are read"),
    ],
)
def test_a_document_beyond_the_limits_is_refused(
    tmp_path: Path, limits: RenderLimits, message: str
) -> None:
    path = tmp_path / "large.pdf"
    path.write_bytes(make_pdf())
    for source in (path, path.read_bytes(), BytesIO(path.read_bytes())):
        with pytest.raises(DocumentOpenError, match=message):
            open_pdf(source, limits=limits)


def test_limits_must_be_positive() -> None:
    with pytest.raises(OptionError, match=r"RenderLimits\.max_pages must be positive, found 0"):
        RenderLimits(max_pages=0)


def test_missing_files_folders_and_urls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentOpenError, match=r"nowhere\.pdf: there is no such file"):
        open_pdf(tmp_path / "nowhere.pdf")
    with pytest.raises(DocumentOpenError, match="folder or a device"):
        open_pdf(tmp_path)
    with pytest.raises(DocumentOpenError, match="URLs are not opened") as caught:
        open_pdf("https://user:secret@example.com/a.pdf")
    assert "secret" not in str(caught.value)


def test_a_machine_that_opens_no_more_files_is_no_fault_of_the_document(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(make_pdf())
    close_pools()
    for limits in (None, ProcessLimits()):
        with files_left(0), pytest.raises(ResourceError, match="Too many open files"):
            open_pdf(path, process_limits=limits)
        assert len(open_pdf(path, process_limits=limits)) == 3


def test_an_unknown_kind_of_source_is_refused() -> None:
    with pytest.raises(OptionError, match="found int"):
        open_pdf(7)  # pyright: ignore[reportArgumentType]  # that is the point


def test_the_hosts_setting_of_mupdf_messages_is_left_as_it_was() -> None:
    before = pymupdf.TOOLS.mupdf_display_errors()
    try:
        for setting in (True, False):
            pymupdf.TOOLS.mupdf_display_errors(setting)
            with pytest.raises(DocumentOpenError):
                open_pdf(b"%PDF-1.7\n", process_limits=None)
            assert bool(pymupdf.TOOLS.mupdf_display_errors()) is setting
    finally:
        pymupdf.TOOLS.mupdf_display_errors(bool(before))


def test_without_pymupdf_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_pdf()
    monkeypatch.setitem(sys.modules, "pymupdf", None)
    with pytest.raises(MissingExtraError, match=r'pip install "vdr-integrations\[pdf\]"'):
        open_pdf(data)


def test_importing_pages_does_not_import_pymupdf_torch_or_transformers() -> None:
    script = (
        "import sys, vdr_integrations.pages; "
        "sys.exit(len({'pymupdf', 'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_repairs_are_logged_with_the_name_only(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        data = make_pdf(["private words"])
        open_pdf(data[: len(data) * 9 // 10], name="cut.pdf")[0].render(SMALL)
    assert "cut.pdf" in caplog.text
    assert "private" not in caplog.text
