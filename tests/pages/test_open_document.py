"""Pictures of one page and of several, opened as documents."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tests.pages.pdfs import make_pdf
from tests.tiffs import PREVIEW, TiffPage, colours, tiff, write_tiff

from vdr_integrations import open_image
from vdr_integrations.errors import (
    DocumentOpenError,
    ImageDecodeError,
    ImageTooLargeError,
    OptionError,
    PageError,
    PageGeometryError,
    PageLimitError,
)
from vdr_integrations.pages import ProcessLimits
from vdr_integrations.pages.open_document import open_document
from vdr_integrations.pages.processes.process_pool import close_pools
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.pages.open_document import Document
    from vdr_integrations.pages.read_file import FileSource

BUDGET = PixelBudget(16)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
NAMES = ("red", "lime", "blue")


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def seen(document: Document) -> list[object]:
    """The colour in the middle of each page, or the type of its error."""
    found: list[object] = []
    for page in document:
        try:
            image = page.render(BUDGET)
        except PageError as error:
            is_named = (error.source, error.page_number) == (document.source, page.page_number)
            found.append(type(error) if is_named else error)
        else:
            found.append(image.getpixel((image.width // 2, image.height // 2)))
    return found


@pytest.mark.parametrize("process_limits", [ProcessLimits(), None], ids=["elsewhere", "here"])
def test_each_page_of_a_tiff_is_a_page_wherever_it_comes_from(
    process_limits: ProcessLimits | None, tmp_path: Path
) -> None:
    path = write_tiff(tmp_path / "scan.tif", colours(*NAMES))
    data = path.read_bytes()
    sources: list[FileSource] = [path, str(path), data, bytearray(data), BytesIO(data)]
    for source in sources:
        with open_document(source, process_limits=process_limits) as document:
            assert document.is_elsewhere is (process_limits is not None)
            assert document.sha256 == hashlib.sha256(data).hexdigest()
            assert document.source == (str(path) if source in (path, str(path)) else "document")
            assert [page.page_number for page in document] == [1, 2, 3]
            assert {page.total_pages for page in document} == {3}
            assert {page.source for page in document} == {document.source}
            assert seen(document) == [RED, GREEN, BLUE]
            assert [page.page_number for page in document[1:]] == [2, 3]
            drawn = document[-1].begin(BUDGET)()
            assert (drawn.page_label, drawn.text, drawn.warnings) == ("3", "", ())
            assert drawn.image.source == f"{document.source} page 3"


def test_a_pdf_and_an_image_open_at_the_same_door(tmp_path: Path) -> None:
    image = encoded(Image.new("RGB", (60, 80), "red"), "PNG")
    (tmp_path / "photo").write_bytes(image)
    for source, name, pages in ((make_pdf(), "a.pdf", 3), (image, "b.png", 1)):
        with open_document(source, name=name) as document:
            assert (document.source, len(document)) == (name, pages)
            assert document.sha256 == hashlib.sha256(source).hexdigest()
            assert [page.total_pages for page in document] == [pages] * pages
            assert document[0].begin(BUDGET)().page_label == "1"
    with open_document(tmp_path / "photo") as document:
        assert document.sha256 == hashlib.sha256(image).hexdigest()
        assert str(document[0]) == str(tmp_path / "photo")
        assert seen(document) == [RED]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("is_big", [False, True], ids=["TIFF", "BigTIFF"])
def test_pages_of_all_sizes_and_modes_are_read_in_every_layout(order: str, is_big: bool) -> None:  # noqa: FBT001
    text = Image.new("1", (1700, 2200), 1)
    text.paste(0, (400, 500, 1300, 1700))
    grey = Image.linear_gradient("L")
    cmyk = Image.new("CMYK", (33, 21), (0, 255, 255, 0))
    rgb = Image.effect_mandelbrot((90, 300), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    pages = [
        TiffPage(text, "group4"),
        TiffPage(grey),
        TiffPage(cmyk),
        TiffPage(rgb, "tiff_lzw"),
        TiffPage(rgb, "tiff_adobe_deflate"),
        TiffPage(text),
    ]
    with open_document(tiff(pages, order=order, is_big=is_big)) as document:
        found = [page.opened().image for page in document]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]  # pictures
    for page, image in zip(pages, found, strict=True):
        alone = open_image(encoded(page.image, "TIFF", compression=page.compression)).image
        assert image.size == page.image.size
        assert image.tobytes() == alone.tobytes()


def test_previews_and_masks_are_no_pages() -> None:
    red, green, blue = colours(*NAMES)
    preview = TiffPage(green.image.resize((6, 8)), fields=PREVIEW)
    mask = TiffPage(Image.new("1", (60, 80), 1), fields={254: 4})
    old_preview = TiffPage(preview.image, fields={255: 2})
    numbered = TiffPage(blue.image, fields={254: 2})  # a page of several, as scanners write it
    with open_document(tiff([preview, red, mask, old_preview, numbered, preview])) as document:
        assert seen(document) == [RED, BLUE]
    assert open_image(tiff([preview, red])).image.getpixel((30, 40)) == RED
    assert open_image(tiff([preview])).width == 6  # there is nothing else


def test_an_animation_and_a_picture_with_others_inside_are_one_page() -> None:
    frames = [Image.new("RGB", (60, 80), name) for name in NAMES]
    for format_, options in (
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("PNG", {}),
        ("MPO", {"quality": 100, "subsampling": 0}),
    ):
        data = encoded(frames[0], format_, save_all=True, append_images=frames[1:], **options)
        with open_document(data) as document:
            assert len(document) == 1
            ((red, green, blue),) = seen(document)  # pyright: ignore[reportGeneralTypeIssues]
            assert red > 250
            assert max(green, blue) < 5


def test_the_error_of_many_pages_as_one_image_says_who_reads_them() -> None:
    with pytest.raises(ImageDecodeError, match=r"scan\.tif.*3 pages.*PDFPageReader.*vdr index"):
        open_image(tiff(colours(*NAMES)), name="scan.tif")


def test_a_damaged_page_costs_only_itself() -> None:
    pages = [TiffPage(page.image, "tiff_adobe_deflate") for page in colours(*NAMES)]
    whole = tiff(pages)
    for position in range(3):
        spoiled = list(pages)
        spoiled[position] = TiffPage(pages[position].image, fields={259: 9999})  # no compression
        left: list[object] = [RED, GREEN, BLUE]
        left[position] = ImageDecodeError
        for process_limits in (ProcessLimits(), None):
            with open_document(tiff(spoiled), process_limits=process_limits) as document:
                assert seen(document) == left
    with open_document(whole) as document:
        assert seen(document) == [RED, GREEN, BLUE]


def test_a_file_that_is_cut_off_says_that_pages_are_missing() -> None:
    whole = tiff(colours(*NAMES))
    with open_document(whole[:-300], name="cut.tif") as document:
        assert seen(document) == [RED, GREEN, ImageDecodeError]
        with pytest.raises(ImageDecodeError, match=r"^cut\.tif page 3: .*further pages"):
            document[2].render(BUDGET)
    with open_document(tiff(colours("red"), following={0: 10**9})) as document:
        assert seen(document) == [RED, ImageDecodeError]


def test_a_chain_that_comes_back_ends_there() -> None:
    for target in (-1, -2, -3):
        data = tiff(colours(*NAMES), following={2: target})
        with open_document(data) as document:
            assert seen(document) == [RED, GREEN, BLUE]


def test_a_bomb_in_a_page_costs_only_that_page() -> None:
    red, green, blue = colours(*NAMES)
    bomb = TiffPage(green.image, fields={256: 2**31 - 1, 257: 2**31 - 1})
    with open_document(tiff([red, bomb, blue])) as document:
        assert seen(document) == [RED, ImageTooLargeError, BLUE]


def test_an_elongated_page_and_one_that_takes_too_long_name_their_number() -> None:
    red, _, blue = colours(*NAMES)
    long = TiffPage(Image.new("1", (20_000, 1)))
    with open_document(tiff([red, long, blue])) as document:
        assert seen(document) == [RED, PageGeometryError, BLUE]
    huge = TiffPage(Image.new("1", (9_000, 9_000)), "group4")
    with open_document(
        tiff([red, huge, blue]), process_limits=ProcessLimits(memory_mb=350)
    ) as document:
        assert seen(document) == [RED, PageLimitError, BLUE]


@pytest.mark.parametrize("process_limits", [ProcessLimits(), None], ids=["elsewhere", "here"])
def test_a_tiff_without_pages_is_refused_as_a_whole(process_limits: ProcessLimits | None) -> None:
    for data, message in (
        (b"II*\0", "holds no page"),
        (b"MM\0*\0\0\0\0", "holds no page"),
        (b"II+\0\x08\0\0\0", "holds no page"),
    ):
        with pytest.raises(ImageDecodeError, match=message):
            open_document(data, process_limits=process_limits)
    with open_document(b"II*\0\xff\xff\0\0", process_limits=process_limits) as document:
        with pytest.raises(ImageDecodeError, match="further pages") as caught:
            document[0].render(BUDGET)
        assert caught.value.page_number is None


def test_a_tiff_that_changes_is_refused(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "scan.tif", colours(*NAMES))
    with open_document(path) as document:
        assert seen(document) == [RED, GREEN, BLUE]
        write_tiff(path, colours("blue", "red", "lime"))
        close_pools()  # the next page is decoded by a process that did not see the file before
        with pytest.raises(ImageDecodeError, match="it changed while it was read"):
            document[0].render(BUDGET)


def test_what_is_no_document_names_both_kinds_and_what_to_do(tmp_path: Path) -> None:
    for name in ("notes", "notes.txt", "notes.pdf", "notes.png", "notes.tiff"):
        path = tmp_path / name
        path.write_bytes(b"only words\n" * 200)
        for source in (path, path.read_bytes()):
            with pytest.raises(
                (DocumentOpenError, ImageDecodeError), match=r"neither a PDF nor a picture.*Convert"
            ) as caught:
                open_document(source, name=name)
            assert caught.value.source == name
    with pytest.raises(OptionError, match="found list"):
        open_document([1])  # pyright: ignore[reportArgumentType]  # that is the point


def test_a_document_shows_itself_without_content() -> None:
    with open_document(tiff(colours(*NAMES)), name="scan.tif") as document:
        assert repr(document) == "PictureDocument('scan.tif', 3 pages)"
        document.close()
