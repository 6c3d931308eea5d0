"""Images of pages, when the page store cannot be used."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tests.broken_stores import BROKEN
from tests.pdfs import write_pdf

from vdr_integrations import DenseEncoder, MultiVectorEncoder, PageSearcher, PairedEncoder
from vdr_integrations.encoders.checkpoints.known_checkpoints import KNOWN_CHECKPOINTS
from vdr_integrations.errors import PageReferenceError, PageStoreError
from vdr_integrations.index import LateInteractionIndex, Manifest, sync_index
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


def test_tiny_pictures_of_an_index_of_two_encoders_are_drawn_as_they_were_indexed(
    tmp_path: Path,
) -> None:
    """ColQwen2's pages have at least four visual tokens, and vdr-2b's at least one."""
    described = replace(KNOWN_CHECKPOINTS["nano-colqwen2"], min_visual_tokens=4)
    late = MultiVectorEncoder.load("nano-colqwen2", checkpoint=described, device="cpu")
    dense = DenseEncoder.load("nano", device="cpu")
    (tmp_path / "docs").mkdir()
    Image.new("RGB", (30, 30), "red").save(tmp_path / "docs" / "dot.png")
    with LateInteractionIndex.create(
        tmp_path / "ix", manifest=Manifest.of(late), dense_manifest=Manifest.of(dense)
    ) as index:
        sync_index(index, PairedEncoder(dense=dense, multi_vector=late), [tmp_path / "docs"])
    with PageSearcher(
        tmp_path / "ix", encoder=late, page_store=PageStore(tmp_path / "no")
    ) as all_of:
        (hit,) = all_of.search("red", k=1)
        assert str(all_of.pictures.indexed(hit).ref) == hit.page_ref
