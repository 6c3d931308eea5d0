from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pymupdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pages.pdfs import (
    A4,
    RED,
    WHITE,
    make_marked_pdf,
    make_pdf,
    make_pdf_with_page_keys,
    quarters,
)
from tests.patience import HANG_S
from tests.pdfs import count_loads, write_pdf

from vdr_integrations.errors import OptionError, PageGeometryError
from vdr_integrations.pages import RenderLimits, open_pdf
from vdr_integrations.types import Page, PixelBudget

if TYPE_CHECKING:
    from pathlib import Path

BUDGET = PixelBudget(max_visual_tokens=96)


def test_a_page_is_drawn_at_exactly_the_size_that_fills_the_budget() -> None:
    page = open_pdf(make_pdf())[0]
    assert isinstance(page, Page)
    height, width = PixelBudget().fill(height=A4[1], width=A4[0])
    image = page.render(PixelBudget())
    assert image.mode == "RGB"
    assert image.size == (width, height) == (644, 896)
    assert page.to_image(PixelBudget()).render(PixelBudget()).tobytes() == image.tobytes()


@pytest.mark.parametrize("draw", ["render", "to_image"])
def test_a_page_is_loaded_once_to_be_measured_and_drawn(
    draw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_pdf(make_pdf(), process_limits=None) as document:
        loads = count_loads(monkeypatch)
        for page in document[1:]:
            getattr(page, draw)(BUDGET)
    assert loads == {2: 1, 3: 1}


@settings(max_examples=150)
@given(
    width=st.floats(3, 3000),
    height=st.floats(3, 3000),
    rotation=st.sampled_from([0, 90, 180, 270]),
    tokens=st.integers(4, 200),
)
def test_any_page_shape_is_drawn_at_exactly_its_size(
    width: float, height: float, rotation: int, tokens: int
) -> None:
    budget = PixelBudget(max_visual_tokens=tokens)
    page = open_pdf(make_marked_pdf(size=(width, height), rotation=rotation))[0]
    if max(width, height) / min(width, height) > 199:
        return
    image = page.render(budget)
    assert image.size == page.rendered_size(budget)[::-1]
    assert image.width * image.height <= budget.max_pixels


@pytest.mark.parametrize(
    ("rotation", "red_quarter"),
    [(0, "upper left"), (90, "upper right"), (180, "lower right"), (270, "lower left")],
)
def test_a_turned_page_is_drawn_as_it_is_shown(rotation: int, red_quarter: str) -> None:
    page = open_pdf(make_marked_pdf(rotation=rotation))[0]
    assert page.rotation == rotation
    turned = rotation in {90, 270}
    assert (page.width_pt, page.height_pt) == ((300, 400) if turned else (400, 300))
    colours = quarters(page.render(BUDGET))
    assert colours.pop(red_quarter) == RED
    assert set(colours.values()) == {WHITE}


def test_only_the_crop_box_is_drawn() -> None:
    # The right half of the upper half: PDF counts from the lower left.
    page = open_pdf(make_marked_pdf(keys={"CropBox": "[100 150 300 300]"}))[0]
    assert (page.width_pt, page.height_pt) == (200, 150)
    colours = quarters(page.render(BUDGET))
    assert colours["upper left"] == colours["lower left"] == RED
    assert colours["upper right"] == colours["lower right"] == WHITE


def test_annotations_are_drawn() -> None:
    with pymupdf.open() as document:
        page = document.new_page(width=300, height=300)
        annotation = page.add_rect_annot((0, 0, 300, 300))
        annotation.set_colors(stroke=(1, 0, 0), fill=(1, 0, 0))
        annotation.update()
        data = document.tobytes()
    assert set(quarters(open_pdf(data)[0].render(BUDGET)).values()) == {RED}


def test_page_labels_are_those_of_the_document_and_else_the_number() -> None:
    with pymupdf.open() as document:
        for _ in range(6):
            document.new_page()
        document.set_page_labels(
            [
                {"startpage": 0, "style": "r", "firstpagenum": 1, "prefix": ""},
                {"startpage": 4, "style": "D", "firstpagenum": 1, "prefix": "A-"},
            ]
        )
        data = document.tobytes()
    assert [page.page_label for page in open_pdf(data)] == ["i", "ii", "iii", "iv", "A-1", "A-2"]
    assert [page.page_label for page in open_pdf(make_pdf())] == ["1", "2", "3"]


def test_damaged_page_labels_fall_back_to_the_number() -> None:
    with pymupdf.open(stream=make_pdf(), filetype="pdf") as document:
        document.xref_set_key(document.pdf_catalog(), "PageLabels", "<</Nums[/x /y 0 (z)]>>")
        data = document.tobytes()
    assert [page.page_label for page in open_pdf(data)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"MediaBox": "[0 0 595 0]"}, r"shows 595 x 0 pt"),
        ({"MediaBox": "[0 0 0.5 842]"}, r"shows 0.5 x 842 pt"),
        ({"MediaBox": "[0 0 595 2147483648]"}, r"is 595 x 2\.14748e\+09 pt; at most 14400 pt"),
        ({"MediaBox": "[0 0 14401 14400]"}, r"at most 14400 pt a side"),
        ({"CropBox": "[5000 5000 6000 6000]"}, r"shows 0 x 0 pt"),
        ({"CropBox": "[0 0 0 0]"}, r"shows 0 x 0 pt"),
        ({"MediaBox": "[0 0 5000 10]"}, r"a ratio of 500; at most 200"),
    ],
)
def test_an_absurd_page_box_is_that_pages_error_alone(keys: dict[str, str], message: str) -> None:
    document = open_pdf(make_pdf_with_page_keys({}, keys, {}), name="a.pdf")
    with pytest.raises(PageGeometryError, match=message) as caught:
        document[1].render(BUDGET)
    assert (caught.value.source, caught.value.page_number) == ("a.pdf", 2)
    assert str(caught.value).startswith("a.pdf page 2: ")
    assert str(caught.value).count("a.pdf") == 1
    for page in (document[0], document[2]):
        page.render(BUDGET)
        assert page.text.strip() == f"page {page.page_number}"


@pytest.mark.parametrize(
    ("keys", "size"),
    [
        ({"MediaBox": "[400 300 0 0]"}, (400, 300)),
        ({"MediaBox": "[-100 -100 300 200]"}, (400, 300)),
        ({"MediaBox": "[0 0 400 300]", "CropBox": "[-50 -50 900 900]"}, (400, 300)),
        ({"MediaBox": "[0 0 400 300]", "UserUnit": "10"}, (4000, 3000)),
        ({"MediaBox": "[0 0 0 0]"}, (612, 792)),
        ({"MediaBox": "[0 0 foo bar]"}, (612, 792)),
        ({"MediaBox": "[]"}, (612, 792)),
        ({"MediaBox": "[0 0 14400 14400]"}, (14400, 14400)),
    ],
)
def test_unusual_page_boxes_that_mean_something_are_drawn(
    keys: dict[str, str], size: tuple[float, float]
) -> None:
    page = open_pdf(make_pdf_with_page_keys(keys))[0]
    assert (page.width_pt, page.height_pt) == size
    assert page.render(BUDGET).size == page.rendered_size(BUDGET)[::-1]


def test_page_boxes_are_found_in_the_page_tree_and_behind_references() -> None:
    with pymupdf.open() as document:
        for _ in range(3):
            document.new_page()
        parent = int(document.xref_get_key(document[0].xref, "Parent")[1].split()[0])
        number, array = document.get_new_xref(), document.get_new_xref()
        document.update_object(number, "0")
        document.update_object(array, f"[0 0 595 {number} 0 R]")
        document.xref_set_key(parent, "MediaBox", f"{array} 0 R")
        document.xref_set_key(document[0].xref, "MediaBox", "null")
        document.xref_set_key(document[1].xref, "MediaBox", f"[0 0 {number} 0 R 842]")
        data = document.tobytes()
    opened = open_pdf(data)
    for page, shown in ((opened[0], "595 x 0"), (opened[1], "0 x 842")):
        with pytest.raises(PageGeometryError, match=shown):
            page.render(BUDGET)
    opened[2].render(BUDGET)


def test_the_largest_side_is_an_option() -> None:
    page = open_pdf(make_pdf(), limits=RenderLimits(max_side_pt=800))[0]
    with pytest.raises(PageGeometryError, match="at most 800 pt"):
        page.render(BUDGET)


def test_text_is_cut_at_the_limit(caplog: pytest.LogCaptureFixture) -> None:
    page = open_pdf(make_pdf(["private words"]), limits=RenderLimits(max_text_characters=7))[0]
    assert page.text == "private"
    assert "cut at 7" in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize("written", ["a\\ud800b", "a\\u0000b", "a\\ud83d b"])
def test_text_can_always_be_stored_as_utf_8(written: str) -> None:
    text = open_pdf(make_pdf([written]))[0].text
    assert "\x00" not in text
    assert text.encode("utf-8")


def test_threads_that_draw_one_document_get_the_pages_they_asked_for() -> None:
    data = make_pdf([f"page number {number} " * 3 for number in range(8)])
    alone = [page.render(BUDGET).tobytes() for page in open_pdf(data)]
    assert len(set(alone)) == 8
    document = open_pdf(data)
    start = threading.Barrier(4)

    def draw(offset: int) -> list[tuple[int, bytes, str]]:
        start.wait(HANG_S)
        order = [(offset * 3 + step) % 8 for step in range(8)]
        return [(i, document[i].render(BUDGET).tobytes(), document[i].text) for i in order]

    with ThreadPoolExecutor(4) as pool:
        for drawn in pool.map(draw, range(4)):
            for index, pixels, text in drawn:
                assert pixels == alone[index]
                assert f"page number {index} " in text


def test_names_show_no_content() -> None:
    page = open_pdf(make_pdf(["private"]), name="a.pdf")[0]
    assert str(page) == "a.pdf page 1"
    assert repr(page) == "PdfPage('a.pdf', page_number=1)"
    assert repr(page.to_image(BUDGET)).startswith("PageImage('a.pdf page 1', ")


def test_drawing_leaves_pymupdf_as_smooth_as_the_caller_set_it() -> None:
    before = pymupdf.TOOLS.show_aa_level()
    pymupdf.TOOLS.set_aa_level(3)
    coarse = pymupdf.TOOLS.show_aa_level()
    try:
        open_pdf(make_pdf())[0].render(PixelBudget())
        assert pymupdf.TOOLS.show_aa_level() == coarse != before
    finally:
        pymupdf.TOOLS.set_aa_level(before["graphics"])


@pytest.mark.parametrize("oversampling", [2, 3, 4])
def test_an_oversampled_page_has_the_same_size_and_nearly_the_same_pixels(
    oversampling: int, tmp_path: Path
) -> None:
    page = open_pdf(write_pdf(tmp_path / "a.pdf", ["some words"]))[0]
    once, finer = (page.render(BUDGET, oversampling=n) for n in (1, oversampling))
    assert finer.size == once.size
    apart = np.abs(np.asarray(once, np.int16) - np.asarray(finer, np.int16))
    assert 0 < apart.mean() < 3


@pytest.mark.parametrize("oversampling", [0, 5, -1])
def test_other_oversampling_is_refused(oversampling: int) -> None:
    with pytest.raises(OptionError, match="must be 1, 2, 3 or 4"):
        open_pdf(make_pdf())[0].render(BUDGET, oversampling=oversampling)
