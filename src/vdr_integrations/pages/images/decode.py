"""Encoded image bytes to an upright RGB image, within limits."""

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
from vdr_integrations.types import to_rgb

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from vdr_integrations.pages.file_limits import ImageLimits

__all__ = ["check_pixels", "decode_image", "to_upright_rgb"]

_PLUGINS: tuple[tuple[re.Pattern[bytes], type[ImageFile]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImagePlugin.PngImageFile),
    (re.compile(rb"\xff\xd8\xff"), JpegImagePlugin.JpegImageFile),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), WebPImagePlugin.WebPImageFile),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), TiffImagePlugin.TiffImageFile),
    (re.compile(rb"GIF8[79]a"), GifImagePlugin.GifImageFile),
    (re.compile(rb"BM"), BmpImagePlugin.BmpImageFile),
)
"""How a file of each format starts, and what decodes it."""

_NEW_SUBFILE_TYPE = 254
_REDUCED_IMAGE = 1
"""Bit of this tag of TIFF 6.0: the frame is a preview, not a page of its own."""

_DECODER_ERRORS = (
    OSError,
    SyntaxError,  # PIL's word for a broken header or chunk
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
    Warning,  # PIL's warnings of damage, where the caller has made them errors
)
"""What PIL's decoders raise on damaged input, besides running out of memory."""


def decode_image(data: bytes, *, source: str, limits: ImageLimits) -> Image.Image:
    """The first frame of a PNG, JPEG, WebP, TIFF, BMP or GIF.

    The format is told by the content, and the size in the header is checked before a pixel is
    decoded.

    Args:
        data: The whole file.
        source: What error messages call it.
        limits: Pixels allowed.

    Returns:
        An upright image of mode RGB.

    Raises:
        ImageDecodeError: Another format, damaged, truncated, or a TIFF of several pages.
        ImageTooLargeError: More pixels than ``limits.max_pixels``.
    """
    plugin = _plugin(data)
    if plugin is None:
        raise ImageDecodeError(
            f"{len(data):,} bytes that are not a PNG, JPEG, WebP, TIFF, BMP or GIF image; "
            f"convert it to one of these.",
            source=source,
        )
    # Image.open would warn above PIL's process-wide limit and refuse above twice that, whatever
    # the caller allows, and silencing a warning is not thread-safe. The plugins do not warn.
    try:
        image = plugin(BytesIO(data))
        check_pixels(image.width, image.height, source=source, limits=limits)
        _refuse_more_pages(image, source)
        return to_upright_rgb(image, source=source)
    except (ImageDecodeError, ImageTooLargeError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageTooLargeError(
            f"a frame of it has more pixels than PIL decodes; at most {limits.max_pixels:,} "
            f"are allowed here.",
            source=source,
        ) from None
    except _DECODER_ERRORS as problem:
        raise _damaged(problem, source) from problem


def to_upright_rgb(image: Image.Image, *, source: str) -> Image.Image:
    """The image decoded, turned upright and converted to RGB.

    Raises:
        ImageDecodeError: The pixels cannot be decoded or have no defined meaning as RGB.
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
        source: What error messages call the image.
        limits: Pixels allowed.

    Raises:
        ImageTooLargeError: More pixels than ``limits.max_pixels``.
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


def _refuse_more_pages(image: ImageFile, source: str) -> None:
    """A scan of many pages would silently lose all but the first."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    for frame in range(1, image.n_frames):
        image.seek(frame)
        if not image.tag_v2.get(_NEW_SUBFILE_TYPE, 0) & _REDUCED_IMAGE:
            raise ImageDecodeError(
                f"a TIFF of {image.n_frames} pages; an image is one page. "
                f"Split it, or convert it to a PDF.",
                source=source,
            )
    image.seek(0)


def _damaged(problem: Exception, source: str) -> ImageDecodeError:
    return ImageDecodeError(
        f"it cannot be decoded ({type(problem).__name__}): truncated, damaged, or of a kind that "
        f"PIL does not read. Save it again.",
        source=source,
    )
