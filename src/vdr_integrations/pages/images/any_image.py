"""Open an image of any kind as a page."""

from __future__ import annotations

import base64
import binascii
import re

import numpy as np
from PIL import Image

from vdr_integrations.errors import ImageDecodeError
from vdr_integrations.pages.file_limits import DEFAULT_IMAGE_LIMITS, ImageLimits
from vdr_integrations.pages.images.arrays import image_of_array
from vdr_integrations.pages.images.decode import check_pixels, decode_image, to_upright_rgb
from vdr_integrations.pages.read_file import FileSource, read_source, source_name
from vdr_integrations.types import PageImage

__all__ = ["ImageSource", "open_base64", "open_image"]

ImageSource = FileSource | Image.Image | np.ndarray
"""A ``str`` is a path, unless it starts with ``data:``."""

_DATA_URI = re.compile(r"data:image/[a-z0-9.+-]+(;[^;,]*)*;base64,", re.ASCII | re.IGNORECASE)


def open_image(
    source: ImageSource,
    *,
    name: str | None = None,
    limits: ImageLimits = DEFAULT_IMAGE_LIMITS,
) -> PageImage:
    """Open an image as a page.

    EXIF orientation is applied, transparent pixels are put on white, and every colour mode is
    converted to RGB; see :func:`vdr_integrations.types.to_rgb`. Only the first frame of an
    animation is used.

    Args:
        source: Path, bytes, bytearray, BytesIO, ``data:image/...;base64,`` URI (PNG, JPEG, WebP,
            TIFF, BMP or GIF), PIL image, or array (see ``arrays.image_of_array``). URLs are not
            opened. Base64 without such a prefix is not recognised: use :func:`open_base64`.
        name: Name of the image in errors and in ``PageImage.source``; the path by default.
        limits: Largest numbers of pixels and bytes.

    Raises:
        ImageDecodeError: The image is missing, unreadable, damaged, or of a kind that is not
            accepted.
        ImageTooLargeError: The image has more pixels than allowed.
        OptionError: ``source`` has another type.
        ResourceError: This machine cannot open more files.
    """
    if isinstance(source, str) and source[:5].lower() == "data:":
        return open_base64(source, name=name, limits=limits)
    label = source_name(source, name=name, fallback="image")
    if isinstance(source, Image.Image | np.ndarray):
        return PageImage(_from_pixels(source, label, limits), source=label)
    data = read_source(
        source,
        source_name=label,
        max_file_bytes=limits.max_file_bytes,
        error=ImageDecodeError,
    )
    return PageImage(decode_image(data, source=label, limits=limits), source=label)


def open_base64(
    text: str,
    *,
    name: str | None = None,
    limits: ImageLimits = DEFAULT_IMAGE_LIMITS,
) -> PageImage:
    """Open an image in base64 as a page, with or without ``data:image/...;base64,`` before it.

    Args:
        text: Base64 in the standard alphabet, with padding; white space is skipped.
        name: Name of the image in errors and in ``PageImage.source``; None uses "base64 image".
        limits: Largest numbers of pixels and bytes.

    Raises:
        ImageDecodeError: The text is not base64, or not an image that is accepted. The error does
            not repeat the text.
        ImageTooLargeError: The image has more pixels than allowed.
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
    data = read_source(
        data, source_name=label, max_file_bytes=limits.max_file_bytes, error=ImageDecodeError
    )
    return PageImage(decode_image(data, source=label, limits=limits), source=label)


def _from_pixels(source: Image.Image | np.ndarray, label: str, limits: ImageLimits) -> Image.Image:
    if isinstance(source, Image.Image):
        check_pixels(source.width, source.height, source=label, limits=limits)
        rgb = to_upright_rgb(source, source=label)
        # The caller may change their image later, and the hash of a page must not change.
        return rgb.copy() if rgb is source else rgb
    if source.ndim >= 2:
        check_pixels(source.shape[1], source.shape[0], source=label, limits=limits)
    return to_upright_rgb(image_of_array(source, source=label), source=label)
