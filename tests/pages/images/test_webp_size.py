"""The size of a WebP, from its header."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from tests.hostile.hostile_images import webp_of_one_colour

from vdr_integrations.errors import ImageTooLargeError
from vdr_integrations.pages import ImageLimits, open_image
from vdr_integrations.pages.images.webp_size import webp_size

SIZES = [(1, 1), (40, 30), (300, 2), (7, 1025)]
KINDS: dict[bytes, dict[str, Any]] = {
    b"VP8 ": {"lossless": False},
    b"VP8L": {"lossless": True},
    b"VP8X": {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"},
}


def webp(size: tuple[int, int], **options: Any) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, (10, 200, 30)).save(buffer, "WEBP", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_size_of_the_image(kind: bytes, size: tuple[int, int]) -> None:
    data = webp(size, **KINDS[kind])
    assert data[12:16] == kind
    assert webp_size(data) == size == open_image(data).image.size


def test_an_animation_has_the_size_of_its_canvas() -> None:
    frames = [Image.new("RGB", (60, 80), colour) for colour in ("red", "blue")]
    data = webp((60, 80), save_all=True, append_images=frames)
    assert webp_size(data) == (60, 80)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_ends_in_its_header_says_none(kind: bytes) -> None:
    data = webp((40, 30), **KINDS[kind])
    assert [webp_size(data[:length]) for length in range(25)] == [None] * 25


def test_a_signature_that_is_wrong_says_none() -> None:
    for kind, place in ((b"VP8L", 20), (b"VP8 ", 23)):
        data = bytearray(webp((40, 30), **KINDS[kind]))
        data[place] ^= 1
        assert webp_size(bytes(data)) is None


def test_an_image_above_the_limit_is_refused_by_its_size_however_high_the_limit() -> None:
    data = webp_of_one_colour(16_383, 16_383)
    limits = ImageLimits(max_pixels=16_383**2 - 1)
    with pytest.raises(ImageTooLargeError, match="16383 x 16383, 268,402,689 pixels; at most 268"):
        open_image(data, limits=limits)
