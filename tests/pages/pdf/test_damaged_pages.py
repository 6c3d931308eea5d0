"""What is said of pages that MuPDF draws although a part of the file is damaged."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pymupdf
import pytest
from tests.hostile.pdf_by_hand import HandMadePdf

from vdr_integrations.errors import PageRenderError
from vdr_integrations.pages import ProcessLimits, open_pdf
from vdr_integrations.pages.pdf.damage import BAD_PICTURE, ENDS_EARLY
from vdr_integrations.types import PixelBudget

BUDGET = PixelBudget(max_visual_tokens=64)
NOISE = random.Random(0).randbytes(3 * 200 * 200)
WORDS = b"BT /F0 14 Tf 20 250 Td (All of this page is here) Tj ET "
WHITE = b"\xff" * len(NOISE)
TEXT_ROWS = zlib.compress(NOISE)


def scans(data: bytes, filters: bytes, *, before: bytes = b"", pages: int = 1) -> bytes:
    """Pages with one and the same picture of 200 x 200 pixels."""
    pdf = HandMadePdf()
    entries = (
        b"/Type /XObject /Subtype /Image /Width 200 /Height 200 /ColorSpace /DeviceRGB "
        b"/BitsPerComponent 8 "
    )
    picture = pdf.add_stream(data, entries, filters=filters)
    for _ in range(pages):
        pdf.page(
            before + b"q 200 0 0 200 0 0 cm /I Do Q",
            resources=b"/XObject << /I %d 0 R >>" % picture,
        )
    return pdf.to_bytes()


@pytest.mark.parametrize("limits", [ProcessLimits(), None], ids=["elsewhere", "here"])
def test_a_damaged_picture_is_said_of_each_page_that_shows_it(limits: ProcessLimits | None) -> None:
    half = scans(TEXT_ROWS[: len(TEXT_ROWS) // 2], b"/FlateDecode", pages=3)
    with open_pdf(half, process_limits=limits) as document:
        assert [page.begin(BUDGET)().warnings for page in document] == [(BAD_PICTURE,)] * 3
        assert document[0].begin(BUDGET)().warnings == (BAD_PICTURE,)


@pytest.mark.parametrize("limits", [ProcessLimits(), None], ids=["elsewhere", "here"])
def test_each_page_of_which_nothing_is_left_is_refused(limits: ProcessLimits | None) -> None:
    with open_pdf(scans(b"", b"", pages=2), name="a.pdf", process_limits=limits) as document:
        for page in document:
            with pytest.raises(PageRenderError, match="could not be decoded, and it shows nothing"):
                page.render(BUDGET)


@pytest.mark.parametrize("picture", [NOISE, WHITE], ids=["full", "blank"])
def test_a_wrong_checksum_of_a_whole_picture_is_no_damage(picture: bytes) -> None:
    wrong = zlib.compress(picture)[:-4] + b"abcd"
    (page,) = open_pdf(scans(wrong, b"/FlateDecode"))
    assert page.begin(BUDGET)().warnings == ()


@pytest.mark.parametrize("picture", [NOISE, WHITE], ids=["full", "blank"])
def test_a_missing_checksum_is_a_warning_and_no_refusal(picture: bytes) -> None:
    (page,) = open_pdf(scans(zlib.compress(picture)[:-4], b"/FlateDecode"))
    assert page.begin(BUDGET)().warnings == (ENDS_EARLY,)


def test_text_beside_a_bad_picture_is_a_warning() -> None:
    (page,) = open_pdf(scans(b"no JPEG at all" * 9, b"/DCTDecode", before=WORDS))
    drawn = page.begin(BUDGET)()
    assert (drawn.warnings, drawn.text.strip()) == ((BAD_PICTURE,), "All of this page is here")


def test_a_page_that_is_no_page_is_not_taken_for_a_blank_one(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    with pymupdf.open() as made:
        for number in range(12):
            made.new_page().insert_text((50, 50), f"page {number}")
        made.update_object(made[6].xref, "<</Type /Nonsense>>")
        made.save(path)
    with open_pdf(path) as document:
        assert document[5].begin(BUDGET)().warnings == ()
        with pytest.raises(PageRenderError):
            document[6].begin(BUDGET)()


def test_good_documents_are_drawn_without_a_warning() -> None:
    folder = Path(__file__).parents[3] / "demo" / "documents"
    for path in sorted(folder.glob("*.pdf")):
        with open_pdf(path) as document:
            for page in document:
                assert page.begin(BUDGET)().warnings == (), page
