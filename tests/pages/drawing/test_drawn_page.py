from __future__ import annotations

import pymupdf
import pytest
from tests.pages.pdfs import make_pdf, make_pdf_with_page_keys
from tests.pdfs import count_loads

from vdr_integrations.errors import PageGeometryError
from vdr_integrations.pages import open_pdf
from vdr_integrations.types import PixelBudget

BUDGET = PixelBudget(max_visual_tokens=64)


def test_image_label_and_text_are_those_of_the_page() -> None:
    with open_pdf(make_pdf(["words"])) as document:
        drawn = document[0].begin(BUDGET)()
        image = document[0].to_image(BUDGET)
    assert (drawn.image.ref, drawn.image.source) == (image.ref, image.source)
    assert (drawn.page_label, drawn.text.strip()) == ("1", "words")


def test_a_page_is_loaded_once_for_image_label_and_text(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_pdf(make_pdf(), process_limits=None) as document:
        loads = count_loads(monkeypatch)
        for page in document:
            page.begin(BUDGET)()
    assert loads == {1: 1, 2: 1, 3: 1}


def test_a_page_with_a_damaged_label_is_loaded_once_and_has_its_number(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pymupdf.open(stream=make_pdf(), filetype="pdf") as document:
        damaged = "<</Nums[0 <</S /D /St (a)>>]>>"
        document.xref_set_key(document.pdf_catalog(), "PageLabels", damaged)
        data = document.tobytes()
    with open_pdf(data, name="a.pdf", process_limits=None) as opened:
        loads = count_loads(monkeypatch)
        drawn = opened[1].begin(BUDGET)()
    assert (drawn.page_label, drawn.text.strip()) == ("2", "two")
    assert "a.pdf page 2: its page label is damaged" in caplog.text
    assert loads == {2: 1}


def test_a_page_with_an_absurd_box_is_refused_before_it_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def draw(*arguments: object, **options: object) -> None:
        raise AssertionError("it is drawn")

    data = make_pdf_with_page_keys({"MediaBox": "[0 0 595 0]"})
    with open_pdf(data, process_limits=None) as document:
        loads = count_loads(monkeypatch)
        monkeypatch.setattr(pymupdf.Page, "get_pixmap", draw)
        with pytest.raises(PageGeometryError, match="shows 595 x 0 pt"):
            document[0].begin(BUDGET)()
    assert loads == {1: 1}
