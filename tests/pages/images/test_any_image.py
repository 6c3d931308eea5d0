from __future__ import annotations

import base64
import os
import struct
import warnings
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, features

from vdr_integrations.errors import ImageDecodeError, ImageTooLargeError, OptionError, PageError
from vdr_integrations.pages import ImageLimits, open_base64, open_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vdr_integrations.pages import ImageSource

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112


def encoded(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def gradient(mode: str = "RGB") -> Image.Image:
    values = np.arange(40 * 30 * 3, dtype=np.uint32).reshape(30, 40, 3) % 251
    return Image.fromarray(values.astype(np.uint8)).convert(mode)


def tiny_png_of(width: int, height: int) -> bytes:
    """A few bytes that claim any size."""
    chunks = (
        b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT" + zlib.compress(bytes(1000)),
        b"IEND",
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )


def test_every_way_to_hand_over_an_image_gives_the_same_page(tmp_path: Path) -> None:
    image = gradient()
    data = encoded(image)
    path = tmp_path / "scan.png"
    path.write_bytes(data)
    at_its_end = BytesIO(data)
    at_its_end.seek(0, 2)
    text = base64.b64encode(data).decode()
    sources: list[ImageSource] = [
        path,
        str(path),
        data,
        bytearray(data),
        at_its_end,
        image,
        np.asarray(image),
        f"data:image/png;base64,{text}",
    ]
    pages = [*map(open_image, sources), open_base64(text), open_base64(f"\n{text[:9]} {text[9:]}")]
    assert {page.sha256 for page in pages} == {pages[0].sha256}
    assert pages[0].image.tobytes() == image.tobytes()


def test_a_page_is_called_by_its_path_or_the_name_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(encoded(gradient()))
    assert open_image(path).source == str(path)
    assert open_image(path, name="the scan").source == "the scan"
    assert open_image(path.read_bytes()).source == "image"


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG"])
def test_every_allowed_format_is_read(image_format: str) -> None:
    flat = Image.new("RGB", (40, 30), RED)
    options = {"lossless": True} if image_format == "WEBP" else {}
    page = open_image(encoded(flat, image_format, **options))
    assert (page.width, page.height) == (40, 30)
    difference = np.abs(np.asarray(page.image).astype(int) - np.asarray(flat).astype(int))
    assert difference.max() <= 2


@pytest.mark.parametrize("image_format", ["PPM", "ICO", "TGA", "PDF", "EPS"])
def test_other_formats_are_refused(image_format: str) -> None:
    with pytest.raises(ImageDecodeError, match="not a PNG, JPEG, WebP, TIFF, BMP or GIF"):
        open_image(encoded(gradient(), image_format))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_undone(image_format: str, orientation: int) -> None:
    upright = Image.new("RGB", (64, 32), WHITE)
    upright.paste(RED, (0, 0, 32, 16))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # a reader turns it back by 270
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    page = open_image(encoded(stored, image_format, exif=exif))
    assert page.image.size == (64, 32)
    difference = np.asarray(page.image).astype(int) - np.asarray(upright).astype(int)
    assert np.abs(difference).mean() < 3


def test_transparency_of_every_kind_lies_on_white() -> None:
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    clear.paste((255, 0, 0, 255), (0, 0, 10, 20))
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([255, 0, 0, 0, 0, 0])
    palette.paste(0, (0, 0, 10, 20))
    keyed = Image.new("RGB", (20, 20), (0, 0, 0))
    keyed.paste(RED, (0, 0, 10, 20))
    for page in (
        open_image(clear),
        open_image(encoded(clear)),
        open_image(encoded(clear, "WEBP", lossless=True)),
        open_image(np.asarray(clear)),
        open_image(encoded(palette, transparency=1)),
        open_image(encoded(keyed, transparency=(0, 0, 0))),
    ):
        assert page.image.mode == "RGB"
        assert page.image.getpixel((5, 10)) == RED
        assert page.image.getpixel((15, 10)) == WHITE


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    # PIL writes it as Adobe does: inverted, with an APP14 marker.
    data = encoded(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG", quality=95)
    red, green, blue = open_image(data).image.getpixel((16, 16))  # pyright: ignore[reportGeneralTypeIssues]  # RGB
    assert red > 240
    assert max(green, blue) < 15


@pytest.mark.parametrize("value", [0, 200, 255, 256, 0x7FFF, 0xFFFF])
def test_sixteen_bit_grey_keeps_its_high_byte(value: int) -> None:
    grey = np.full((8, 8), value, dtype=np.uint16)
    for source in (encoded(Image.fromarray(grey)), encoded(Image.fromarray(grey), "TIFF"), grey):
        assert open_image(source).image.getpixel((4, 4)) == (value >> 8,) * 3


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    for image_format, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        data = encoded(frames[0], image_format, save_all=True, append_images=frames[1:], **options)
        assert open_image(data).image.getpixel((8, 8)) == RED


def test_a_tiff_of_several_pages_is_refused_and_one_with_a_preview_is_not() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN)]
    pages = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageDecodeError, match="a TIFF with 2 pages"):
        open_image(pages)
    frames[1].encoderinfo = {"tiffinfo": {254: 1}}  # pyright: ignore[reportAttributeAccessIssue]  # PIL reads it
    preview = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert open_image(preview).image.getpixel((8, 8)) == RED


@pytest.mark.parametrize(
    ("width", "height"), [(30_000, 30_000), (2**31 - 1, 2**31 - 1), (10_001, 10_000)]
)
def test_a_decompression_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    with pytest.raises(ImageTooLargeError, match=f"it is {width} x {height}.*at most 100,000,000"):
        open_image(tiny_png_of(width, height), name="bomb.png")


def test_an_image_between_pils_limit_and_ours_raises_no_warning() -> None:
    assert Image.MAX_IMAGE_PIXELS == 89_478_485
    data = encoded(Image.new("1", (10_000, 9_500)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_image(data).width == 10_000


def test_the_pixel_limit_holds_for_every_kind_of_input(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(encoded(gradient()))
    limits = ImageLimits(max_pixels=40 * 30 - 1)
    for source in (path, path.read_bytes(), gradient(), np.asarray(gradient())):
        with pytest.raises(ImageTooLargeError, match="at most 1,199"):
            open_image(source, limits=limits)
    assert open_image(path, limits=ImageLimits(max_pixels=40 * 30)).width == 40


def test_the_byte_limit_holds_for_every_kind_of_input(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    data = encoded(gradient())
    path.write_bytes(data)
    limits = ImageLimits(max_file_bytes=len(data) - 1)
    openers: list[Callable[[], object]] = [
        lambda: open_image(path, limits=limits),
        lambda: open_image(data, limits=limits),
        lambda: open_image(BytesIO(data), limits=limits),
        lambda: open_base64(base64.b64encode(data).decode(), limits=limits),
    ]
    for opener in openers:
        with pytest.raises(ImageDecodeError, match="max_file_bytes"):
            opener()


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_a_truncated_or_altered_image_gives_a_page_or_a_typed_error(image_format: str) -> None:
    data = encoded(gradient(), image_format)
    with pytest.raises(ImageDecodeError, match=r"^cut: "):
        open_image(data[: len(data) // 2], name="cut")
    for length in range(0, len(data) - 1, max(1, len(data) // 40)):
        try:
            page = open_image(data[:length])
        except ImageDecodeError:
            continue
        assert page.sha256 == open_image(data).sha256  # only what follows the pixels was cut
    for position in range(0, len(data), max(1, len(data) // 40)):
        altered = bytearray(data)
        altered[position] ^= 0xFF
        try:
            open_image(altered)
        except (ImageDecodeError, ImageTooLargeError):
            continue


@pytest.mark.parametrize("text", ["not base64!", "QUJ", "é" * 8, "data:text/plain,hello"])
def test_what_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(ImageDecodeError) as caught:
        open_base64(text)
    assert text not in str(caught.value)


@pytest.mark.parametrize("length", [40, 400, 40_000])
def test_base64_taken_for_a_path_does_not_land_in_the_error(length: int) -> None:
    text = base64.b64encode(encoded(gradient()) * 40).decode()[:length]
    with pytest.raises(ImageDecodeError) as caught:
        open_image(text)
    assert text[:20] not in str(caught.value)
    assert text[:20] not in repr(caught.value.__cause__)


@pytest.mark.parametrize("url", ["https://a.example/x.png?token=secret", "FILE:///secret.png"])
def test_urls_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ImageDecodeError, match="URLs are not opened") as caught:
        open_image(url)
    assert "secret" not in str(caught.value)


def test_paths_that_are_no_image_file_are_refused(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none.png", "there is no such file"),
        (tmp_path, "folder or a device"),
        ("a\x00b.png", "not a path"),
        ("/dev/zero", "folder or a device" if os.name == "posix" else "there is no such file"),
        ("x" * 5000 + ".png", "cannot be read"),
    ):
        with pytest.raises(ImageDecodeError, match=message):
            open_image(path)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((4, 5), 128, np.uint8), (128,) * 3),
        (np.full((4, 5, 1), 128, np.uint8), (128,) * 3),
        (np.full((4, 5, 3), [255, 0, 0], np.uint8), RED),
        (np.full((4, 5, 4), [255, 0, 0, 0], np.uint8), WHITE),
        (np.full((4, 5), 0x80FF, np.uint16), (128,) * 3),
        (np.full((4, 5, 3), [0xFFFF, 0, 0], ">u2"), RED),
        (np.full((4, 5), fill_value=True), WHITE),
        (np.full((4, 5, 3), [1.0, 0.0, 0.0]), RED),
        (np.full((4, 5), 0.5, np.float16), (128,) * 3),
        (np.full((5, 4, 3), [255, 0, 0], np.uint8).transpose(1, 0, 2), RED),
    ],
)
def test_arrays_of_every_allowed_kind_are_read(
    array: np.ndarray, expected: tuple[int, ...]
) -> None:
    page = open_image(array)
    assert (page.width, page.height) == (5, 4)
    assert page.image.getpixel((2, 2)) == expected


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 40, 50), np.uint8), r"shape \(3, 40, 50\).*channels last"),
        (np.zeros((40, 50, 2), np.uint8), "shape"),
        (np.zeros(40, np.uint8), "shape"),
        (np.zeros((0, 5), np.uint8), "no side may be 0"),
        (np.zeros((4, 5), np.int64), "dtype int64"),
        (np.zeros((4, 5), np.complex128), "dtype complex128"),
        (np.full((4, 5), 200.0), "from 200 to 200; they must be between 0 and 1"),
        (np.full((4, 5), -0.1), "between 0 and 1"),
        (np.full((4, 5), np.nan), "between 0 and 1"),
    ],
)
def test_arrays_of_unclear_meaning_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(ImageDecodeError, match=message):
        open_image(array)


def test_a_page_does_not_change_with_the_image_or_array_it_came_from() -> None:
    image, array = Image.new("RGB", (8, 8), RED), np.full((8, 8, 3), RED, np.uint8)
    pages = open_image(image), open_image(array)
    image.putpixel((0, 0), GREEN)
    array[0, 0] = GREEN
    assert [page.image.getpixel((0, 0)) for page in pages] == [RED, RED]


def test_a_pil_image_whose_file_is_truncated_is_refused() -> None:
    data = encoded(gradient())
    lazy = Image.open(BytesIO(data[: len(data) // 2]))
    with pytest.raises(ImageDecodeError, match="cannot be decoded"):
        open_image(lazy)


def test_an_unknown_kind_of_source_is_refused() -> None:
    with pytest.raises(OptionError, match="found list"):
        open_image([1])  # pyright: ignore[reportArgumentType]  # that is the point


def test_errors_cross_process_boundaries_with_their_source() -> None:
    import pickle

    with pytest.raises(PageError) as caught:
        open_image(b"nothing", name="a.png")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.source) == (ImageDecodeError, str(caught.value), "a.png")


def test_webp_is_compiled_into_pil() -> None:
    assert features.check("webp")
