from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image
from tests.pages.pdfs import make_pdf

from vdr_integrations.pages.file_kind import FIRST_BYTES, kind_of


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
def test_pictures_are_known_by_their_first_bytes(format_: str) -> None:
    written = BytesIO()
    Image.new("RGB", (40, 30)).save(written, format=format_)
    assert kind_of(written.getvalue()) == "image"
    assert kind_of(written.getvalue()[:FIRST_BYTES]) == "image"


def test_the_header_of_a_pdf_may_follow_other_bytes() -> None:
    pdf = make_pdf()
    assert kind_of(pdf) == kind_of(bytes(1019) + pdf) == "pdf"
    assert kind_of(bytes(1020) + pdf) is None


@pytest.mark.parametrize("text", [b"", b"BM", b"BMW sells cars, 40 of them", b"%PDF", b"GIF8"])
def test_other_bytes_are_neither(text: bytes) -> None:
    assert kind_of(text) is None
