"""Decode image bytes to an upright RGB image, within limits."""

from __future__ import annotations

import re
import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from vdr_integrations.errors import ImageDecodeError, ImageTooLargeError
from vdr_integrations.pages.file_limits import DEFAULT_RENDER_LIMITS
from vdr_integrations.pages.images.tiff_pages import TiffPages
from vdr_integrations.pages.images.webp_size import webp_size
from vdr_integrations.types import to_rgb

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from vdr_integrations.pages.file_limits import ImageLimits

__all__ = ["check_pixels", "decode_image", "decode_tiff_page", "to_upright_rgb"]

_PLUGINS: tuple[tuple[re.Pattern[bytes], type[ImageFile]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImagePlugin.PngImageFile),
    (re.compile(rb"\xff\xd8\xff"), JpegImagePlugin.JpegImageFile),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), WebPImagePlugin.WebPImageFile),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), TiffImagePlugin.TiffImageFile),
    (re.compile(rb"GIF8[79]a"), GifImagePlugin.GifImageFile),
    (re.compile(rb"BM"), BmpImagePlugin.BmpImageFile),
)
"""The first bytes of each format, and the PIL plugin that decodes it."""

_DECODER_ERRORS = (
    OSError,
    SyntaxError,  # what PIL raises for a broken header or chunk
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
    Warning,  # PIL's warnings about damage, if the caller has turned them into errors
)
"""What PIL's decoders raise for damaged input, apart from MemoryError."""


def decode_image(data: bytes, *, source: str, limits: ImageLimits) -> Image.Image:
    """Decode the first frame of a PNG, JPEG, WebP, BMP or GIF, or the only page of a TIFF.

    The content decides the format. The size in the header is checked before any pixel is decoded.

    Args:
        data: The whole file.
        source: Name of the image in error messages.
        limits: Largest number of pixels.

    Returns:
        An upright image of mode RGB.

    Raises:
        ImageDecodeError: The image is damaged, truncated, in another format, or a TIFF with
            several pages.
        ImageTooLargeError: The image has more pixels than ``limits.max_pixels``.
    """
    plugin = _plugin(data)
    if plugin is None:
        raise ImageDecodeError(
            f"found {len(data):,} bytes that are not a PNG, JPEG, WebP, TIFF, BMP or GIF image; "
            f"convert the image to one of these formats.",
            source=source,
        )
    if plugin is TiffImagePlugin.TiffImageFile:
        return decode_tiff_page(_only_page(data, source), 1, source=source, limits=limits)
    if plugin is WebPImagePlugin.WebPImageFile and (size := webp_size(data)) is not None:
        check_pixels(*size, source=source, limits=limits)
    return _decoded(plugin, BytesIO(data), source, limits)


def decode_tiff_page(
    pages: TiffPages, page_number: int, *, source: str, limits: ImageLimits
) -> Image.Image:
    """Decode a page of a TIFF, and none of the others; see :func:`decode_image`."""
    return _decoded(TiffImagePlugin.TiffImageFile, pages.first(page_number), source, limits)


def _decoded(
    plugin: type[ImageFile], file: BytesIO, source: str, limits: ImageLimits
) -> Image.Image:
    # Image.open warns above PIL's process-wide limit and refuses above twice that limit, even if
    # the caller allows more. Silencing a warning is not thread-safe. The plugins do not warn.
    try:
        image = plugin(file)
        check_pixels(image.width, image.height, source=source, limits=limits)
        return to_upright_rgb(image, source=source)
    except (ImageDecodeError, ImageTooLargeError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageTooLargeError(
            f"one of its frames has more pixels than PIL decodes; at most {limits.max_pixels:,} "
            f"are allowed here.",
            source=source,
        ) from None
    except _DECODER_ERRORS as problem:
        raise _damaged(problem, source) from problem


def to_upright_rgb(image: Image.Image, *, source: str) -> Image.Image:
    """Decode an image, turn it upright and convert it to RGB.

    Raises:
        ImageDecodeError: The pixels cannot be decoded, or it is not defined how to convert them
            to RGB.
    """
    try:
        image.load()
        return to_rgb(image)
    except ImageDecodeError as problem:
        raise ImageDecodeError(problem.reason, source=source) from None
    except _DECODER_ERRORS as problem:
        raise _damaged(problem, source) from problem


def check_pixels(width: int, height: int, *, source: str, limits: ImageLimits) -> None:
    """Refuse sizes above the limit.

    Args:
        width: Pixels.
        height: Pixels.
        source: Name of the image in error messages.
        limits: Largest number of pixels.

    Raises:
        ImageTooLargeError: The image has more pixels than ``limits.max_pixels``.
    """
    if width * height > limits.max_pixels:
        raise ImageTooLargeError(
            f"it is {width} x {height}, {width * height:,} pixels; at most "
            f"{limits.max_pixels:,} are decoded. Scale it down, or pass "
            f"limits=ImageLimits(max_pixels=...).",
            source=source,
        )


def _plugin(data: bytes) -> type[ImageFile] | None:
    return next((plugin for start, plugin in _PLUGINS if start.match(data)), None)


def _only_page(data: bytes, source: str) -> TiffPages:
    """Refuse a scan of several pages: all but the first would be lost without an error."""
    pages = TiffPages(data, source=source, most=DEFAULT_RENDER_LIMITS.max_pages)
    if len(pages) > 1:
        raise ImageDecodeError(
            f"it is a TIFF with {len(pages):,} pages, and here an image is one page. Read it with "
            f"PDFPageReader or PDFPageLoader, or index it with vdr index or sync_index: they make "
            f"a page of each.",
            source=source,
        )
    return pages


def _damaged(problem: Exception, source: str) -> ImageDecodeError:
    return ImageDecodeError(
        f"it cannot be decoded ({type(problem).__name__}): it is truncated, damaged, or of a kind "
        f"that PIL does not read. Save it again.",
        source=source,
    )
