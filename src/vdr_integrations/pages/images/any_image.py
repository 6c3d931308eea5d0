"""Open an image of any kind as a page."""

from __future__ import annotations

import base64
import binascii
import re
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from vdr_integrations.errors import ImageDecodeError, OptionError
from vdr_integrations.pages.file_limits import DEFAULT_IMAGE_LIMITS, ImageLimits
from vdr_integrations.pages.images.arrays import image_of_array
from vdr_integrations.pages.images.decode import check_pixels, to_upright_rgb
from vdr_integrations.pages.images.picture import Picture
from vdr_integrations.pages.images.picture_file import ImageFile
from vdr_integrations.pages.process_limits import DEFAULT_PROCESS_LIMITS, ProcessLimits
from vdr_integrations.pages.read_file import FileSource, file_content, source_name
from vdr_integrations.types import PageImage

__all__ = ["ImageSource", "decoded_base64", "open_base64", "open_image", "unopened_image"]

ImageSource = FileSource | Image.Image | np.ndarray
"""A ``str`` is a path, unless it starts with ``data:``."""

_DATA_URI = re.compile(r"data:image/[a-z0-9.+-]+(;[^;,]*)*;base64,", re.ASCII | re.IGNORECASE)


def open_image(
    source: ImageSource,
    *,
    name: str | None = None,
    limits: ImageLimits = DEFAULT_IMAGE_LIMITS,
    process_limits: ProcessLimits | None = DEFAULT_PROCESS_LIMITS,
) -> PageImage:
    """Open an image as a page.

    Files and bytes are decoded in another process, with limits; see :class:`ProcessLimits`.

    EXIF orientation is applied, transparent pixels are put on white, and every colour mode is
    converted to RGB; see :func:`vdr_integrations.types.to_rgb`. Only the first frame of an
    animation is used. A TIFF of several pages is refused: the readers of both frameworks,
    ``vdr index`` and ``sync_index`` make a page of each.

    Args:
        source: Path, bytes, bytearray, BytesIO, ``data:image/...;base64,`` URI (PNG, JPEG, WebP,
            TIFF, BMP or GIF), PIL image, or array (see ``arrays.image_of_array``). URLs are not
            opened. Base64 without such a prefix is not recognised: use :func:`open_base64`.
        name: Name of the image in errors and in ``PageImage.source``; the path by default.
        limits: Largest numbers of pixels and bytes.
        process_limits: Limits of the process that decodes it. None decodes it in this process,
            without limits: for files that you trust.

    Raises:
        ImageDecodeError: The image is missing, unreadable, damaged, or of a kind that is not
            accepted.
        ImageTooLargeError: The image has more pixels than allowed.
        OptionError: ``source`` has another type.
        ResourceError: This machine cannot open more files, or start a process.
    """
    picture = unopened_image(source, name=name, limits=limits, process_limits=process_limits)
    if picture is not None:
        return picture.opened()
    label = source_name(source, name=name, fallback="image")
    if isinstance(source, Image.Image | np.ndarray):
        return PageImage(_from_pixels(source, label, limits), source=label)
    raise OptionError(
        f"{label}: an image is a path, bytes, bytearray, BytesIO, a PIL image or an array, found "
        f"{type(source).__name__}."
    )


def unopened_image(
    source: ImageSource,
    *,
    name: str | None = None,
    limits: ImageLimits = DEFAULT_IMAGE_LIMITS,
    process_limits: ProcessLimits | None = DEFAULT_PROCESS_LIMITS,
) -> Picture | None:
    """A file or bytes as a picture that is decoded when it is needed; None for pixels.

    Args and errors are those of :func:`open_image`, apart from those of decoding.
    """
    if isinstance(source, str) and source[:5].lower() == "data:":
        return _of_base64(source, name, limits, process_limits)
    if not isinstance(source, str | Path | bytes | bytearray | BytesIO):
        return None
    label = source_name(source, name=name, fallback="image")
    content = file_content(
        source, source_name=label, max_file_bytes=limits.max_file_bytes, error=ImageDecodeError
    )
    return Picture(ImageFile(content, source=label, limits=limits, process_limits=process_limits))


def open_base64(
    text: str,
    *,
    name: str | None = None,
    limits: ImageLimits = DEFAULT_IMAGE_LIMITS,
    process_limits: ProcessLimits | None = DEFAULT_PROCESS_LIMITS,
) -> PageImage:
    """Open an image in base64 as a page, with or without ``data:image/...;base64,`` before it.

    Args:
        text: Base64 in the standard alphabet, with padding; white space is skipped.
        name: Name of the image in errors and in ``PageImage.source``; None uses "base64 image".
        limits: Largest numbers of pixels and bytes.
        process_limits: Limits of the process that decodes it. None decodes it in this process,
            without limits: for files that you trust.

    Raises:
        ImageDecodeError: The text is not base64, or not an image that is accepted. The error does
            not repeat the text.
        ImageTooLargeError: The image has more pixels than allowed.
    """
    return _of_base64(text, name, limits, process_limits).opened()


def decoded_base64(
    text: str, *, name: str | None = None, limits: ImageLimits = DEFAULT_IMAGE_LIMITS
) -> bytes:
    """The bytes of an image in base64, with or without ``data:image/...;base64,`` before it.

    Raises:
        ImageDecodeError: The text is not base64, or has too many bytes.
    """
    label = name if name is not None else "base64 image"
    prefix = _DATA_URI.match(text)
    if prefix is None and text[:5].lower() == "data:":
        raise ImageDecodeError(
            "found a data: URI that does not start with data:image/...;base64, and only such URIs "
            "are read.",
            source=label,
        )
    encoded = "".join(text[prefix.end() if prefix else 0 :].split())
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError as problem:
        # binascii.Error is a ValueError; a text that is not ASCII is a plain one.
        detail = str(problem) if isinstance(problem, binascii.Error) else "it is not ASCII"
        raise ImageDecodeError(
            f"found a text of {len(text):,} characters that is not base64 ({detail}).",
            source=label,
        ) from None
    file_content(
        data, source_name=label, max_file_bytes=limits.max_file_bytes, error=ImageDecodeError
    )
    return data


def _of_base64(
    text: str, name: str | None, limits: ImageLimits, process_limits: ProcessLimits | None
) -> Picture:
    label = name if name is not None else "base64 image"
    data = decoded_base64(text, name=label, limits=limits)
    return Picture(ImageFile(data, source=label, limits=limits, process_limits=process_limits))


def _from_pixels(source: Image.Image | np.ndarray, label: str, limits: ImageLimits) -> Image.Image:
    if isinstance(source, Image.Image):
        check_pixels(source.width, source.height, source=label, limits=limits)
        rgb = to_upright_rgb(source, source=label)
        # The caller may change their image later, and the hash of a page must not change.
        return rgb.copy() if rgb is source else rgb
    if source.ndim >= 2:
        check_pixels(source.shape[1], source.shape[0], source=label, limits=limits)
    return to_upright_rgb(image_of_array(source, source=label), source=label)
