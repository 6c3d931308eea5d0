"""Images of pages, when the page store cannot be used."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from tests.broken_stores import BROKEN
from tests.pdfs import write_pdf

from vdr_integrations.errors import PageReferenceError, PageStoreError
from vdr_integrations.pages import PageStore, open_pdf
from vdr_integrations.retrieval import PagePictures
from vdr_integrations.types import Hit, PixelBudget

if TYPE_CHECKING:
    from pathlib import Path

BUDGET = PixelBudget(16)


def hits_of(path: Path) -> list[Hit]:
    with open_pdf(path) as document:
        return [
            Hit(
                str(path), page.page_number, 1.0, "1", page.total_pages,
                str(page.to_image(BUDGET).ref),
            )
            for page in document
        ]  # fmt: skip


@pytest.fixture(params=BROKEN)
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> PageStore:
    return PageStore(BROKEN[request.param](tmp_path))


def test_pages_are_drawn_if_the_store_cannot_be_read(broken: PageStore, tmp_path: Path) -> None:
    hit = hits_of(write_pdf(tmp_path / "a.pdf", ["apples"]))[0]
    pictures = PagePictures(broken, BUDGET)
    assert str(pictures.indexed(hit).ref) == hit.page_ref
    assert pictures.zoomed(hit, None, max_side_px=300).is_redrawn


def test_the_trouble_of_the_store_is_told_if_the_page_cannot_be_drawn_either(
    broken: PageStore, tmp_path: Path
) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["apples"])
    hit = hits_of(path)[0]
    path.unlink()
    with pytest.raises(PageStoreError, match="VDR_PAGE_STORE") as caught:
        PagePictures(broken, BUDGET).indexed(hit)
    assert isinstance(caught.value.__cause__, PageReferenceError)
    alone = PagePictures(broken)
    with pytest.raises(PageStoreError, match="VDR_PAGE_STORE"):
        alone.indexed(hit)
    with pytest.raises(PageStoreError, match="VDR_PAGE_STORE"):
        alone.zoomed(hit, None, max_side_px=300)


def test_images_that_cannot_be_kept_are_told_once(
    broken: PageStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hits = [
        hit
        for name in ("a.pdf", "b.pdf")
        for hit in hits_of(write_pdf(tmp_path / name, [f"apples {name}", f"pears {name}"]))
    ]
    with caplog.at_level(logging.WARNING, logger="vdr_integrations"):
        PagePictures(broken, BUDGET).keep(hits)
    [record] = caplog.records
    assert str(broken.root) in record.getMessage()
