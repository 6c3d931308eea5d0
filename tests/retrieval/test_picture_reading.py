"""Pictures that the readers of both frameworks make pages of."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from tests.index.documents import write_png
from tests.pdfs import write_pdf
from tests.tiffs import TiffPage, colours, tiff, write_tiff

from vdr_integrations.errors import DocumentOpenError, ImageDecodeError, PageError
from vdr_integrations.retrieval.pages_into_store import PageReading

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.pages import PageStore
    from vdr_integrations.pages.read_file import FileSource
    from vdr_integrations.retrieval.pages_into_store import ReadPage

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture(params=[None, 0], ids=["elsewhere", "here"])
def reading(request: pytest.FixtureRequest, page_store: PageStore) -> PageReading:
    return PageReading.of(
        str(page_store.root),
        max_visual_tokens=16,
        render_workers=request.param,
        page_timeout_s=None,
        page_memory_mb=None,
    )


def read(
    reading: PageReading, content: FileSource, *, source: str | None = None
) -> tuple[list[ReadPage], list[PageError]]:
    errors: list[PageError] = []
    pages = reading.read(content, password=None, source=source, on_error=errors.append)
    return list(pages), errors


def colour(reading: PageReading, page: ReadPage) -> object:
    image = reading.store.get(page.page_ref).image
    return image.getpixel((image.width // 2, image.height // 2))


def test_each_page_of_a_tiff_is_read_from_a_path_and_from_bytes(
    reading: PageReading, tmp_path: Path
) -> None:
    path = write_tiff(tmp_path / "scan.tif", colours("red", "lime", "blue"))
    data = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    for content, source in ((path, str(path)), (data, digest), (bytearray(data), digest)):
        pages, errors = read(reading, content, source=str(path) if content is path else None)
        assert errors == []
        assert [page.source for page in pages] == [source] * 3
        assert [page.page_number for page in pages] == [1, 2, 3]
        assert [page.facts["page_label"] for page in pages] == ["1", "2", "3"]
        assert {page.total_pages for page in pages} == {3}
        assert [colour(reading, page) for page in pages] == [RED, GREEN, BLUE]
    assert read(reading, path, source=str(path))[0][1].citation == "scan.tif, page 2 of 3"


def test_an_image_and_a_pdf_are_read_too(reading: PageReading, tmp_path: Path) -> None:
    image = write_png(tmp_path / "photo.png", "red")
    pdf = write_pdf(tmp_path / "report.pdf", ["apples", "pears"])
    (photo,), errors = read(reading, image.read_bytes())
    assert errors == []
    assert photo.source == f"sha256:{hashlib.sha256(image.read_bytes()).hexdigest()}"
    assert (photo.page_number, photo.total_pages, photo.text) == (1, 1, "")
    assert colour(reading, photo) == RED
    assert [page.text.strip() for page in read(reading, pdf)[0]] == ["apples", "pears"]


def test_a_damaged_page_is_left_out_and_named(reading: PageReading) -> None:
    pages = colours("red", "lime", "blue")
    pages[1] = TiffPage(pages[1].image, fields={259: 9999})
    found, errors = read(reading, tiff(pages), source="scan.tif")
    assert [page.page_number for page in found] == [1, 3]
    assert [(type(error), error.page_number) for error in errors] == [(ImageDecodeError, 2)]


def test_what_is_neither_a_pdf_nor_a_picture_says_so(reading: PageReading, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("only words")
    for content in (tmp_path / "notes.txt", b"only words"):
        pages, (error,) = read(reading, content)
        assert pages == []
        assert isinstance(error, DocumentOpenError)
        assert "neither a PDF nor a picture" in error.reason
