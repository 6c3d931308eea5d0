"""A scan of several pages in one TIFF, from ``vdr index`` to the picture of a page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tests.cli.menus import MENU, QUESTION, write_words
from tests.tiffs import PREVIEW, TiffPage, colours, write_tiff
from typer.testing import CliRunner

from vdr_integrations import PageSearcher, open_pdf
from vdr_integrations.cli.app import app
from vdr_integrations.retrieval import Box
from vdr_integrations.types import PageImage, PixelBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from typer.testing import Result

    from vdr_integrations.pages import PageStore

pytestmark = pytest.mark.usefixtures("seen_pages")

WORDS = (
    ["Timetable", "Station", "Platform", "Departure"],
    ["Breakfast", "Sandwich", "Lemonade", "Harvest"],
    ["Invoice", "Amount", "Customer", "Payment"],
)
QUESTIONS = ("Departure at the station", QUESTION, "Amount of the invoice")


def scanned(folder: Path, words: Sequence[str]) -> Image.Image:
    """A page in black and white, finer than any page is indexed."""
    path = write_words(folder / "page.pdf", words)
    with open_pdf(path) as document:
        image = document[0].render(PixelBudget(3000))
    path.unlink()
    return image.convert("1", dither=Image.Dither.NONE)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a fax of three pages and a preview, ``docs``, and its index, ``ix``."""
    folder = tmp_path_factory.mktemp("scans")
    pages = [TiffPage(scanned(folder, words), "group4") for words in WORDS]
    preview = TiffPage(pages[0].image.resize((90, 60)), fields=PREVIEW)
    write_tiff(folder / "docs" / "fax.tif", [pages[0], preview, *pages[1:]])
    model = ["--late-interaction", "--model", "nano-colqwen2"]
    done = CliRunner().invoke(
        app, ["index", str(folder / "docs"), "--index", str(folder / "ix"), *model]
    )
    assert done.exit_code == 0, done.stderr
    return folder


def shown(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_each_page_is_found_by_what_it_says(scans: Path, page_store: PageStore) -> None:
    with PageSearcher(scans / "ix", page_store=page_store) as searcher:
        for number, question in enumerate(QUESTIONS, start=1):
            hit = searcher.search(question, k=3)[0]
            assert hit.source == (scans / "docs" / "fax.tif").as_posix()
            assert (hit.page_number, hit.page_label, hit.total_pages) == (number, str(number), 3)


def test_a_page_is_shown_as_it_was_indexed_and_as_it_was_scanned(
    scans: Path, vdr: Callable[..., Result], page_store: PageStore, tmp_path: Path
) -> None:
    out = tmp_path / "page.png"
    for number in (1, 2, 3):
        page = ("fax.tif", number, "--index", scans / "ix", "--out", out)
        found = shown(vdr("show", *page, "--json"))
        with Image.open(out) as image:
            assert str(PageImage(image.convert("RGB")).ref) == found["page_ref"]
        assert vdr("show", *page, "--max-side-px", 3000).exit_code == 0
        with Image.open(out) as image:
            scan = scanned(tmp_path, WORDS[number - 1]).convert("RGB")
            assert image.convert("RGB").tobytes() == scan.tobytes()


def test_the_words_of_a_question_are_coloured_on_their_page(
    scans: Path, vdr: Callable[..., Result], page_store: PageStore, tmp_path: Path
) -> None:
    out = tmp_path / "heat.png"
    asked = ("heatmap", QUESTION, "--index", scans / "ix", "--token", "lemonade")
    found = shown(vdr(*asked, "--out", out, "--boxes", 1, "--json"))
    assert found["hit"]["page_number"] == 2
    region = found["regions"][0]
    across, down = MENU["Lemonade"]
    assert across[0] < (region["left"] + region["right"]) / 2 < across[1]
    assert down[0] < (region["top"] + region["bottom"]) / 2 < down[1]
    coloured = np.ptp(np.asarray(Image.open(out).convert("RGB")).astype(int), axis=2) > 60
    assert coloured.any()


def test_a_part_of_a_page_is_shown_in_the_pixels_of_the_scan(
    scans: Path, page_store: PageStore, tmp_path: Path
) -> None:
    with PageSearcher(scans / "ix", page_store=page_store) as searcher:
        hit = searcher.search(QUESTION, k=1)[0]
        zoomed = searcher.pictures.zoomed(hit, Box(0.5, 0, 1, 0.5), max_side_px=4000)
    scan = scanned(tmp_path, WORDS[1]).convert("RGB")
    corner = scan.crop(Box(0.5, 0, 1, 0.5).pixels(scan.width, scan.height))
    assert zoomed.is_redrawn
    assert zoomed.image.tobytes() == corner.tobytes()


def test_a_page_of_another_scan_is_never_shown_for_it(
    vdr: Callable[..., Result], tiny_checkpoint: Path, page_store: PageStore, tmp_path: Path
) -> None:
    path = write_tiff(tmp_path / "docs" / "fax.tif", colours("red", "lime", "blue"))
    index = ("--index", tmp_path / "ix")
    assert vdr("index", path, *index, "--model", tiny_checkpoint).exit_code == 0
    write_tiff(path, colours("red", "navy", "blue"))
    out = ("--out", tmp_path / "page.png")
    assert vdr("show", "fax.tif", 1, *index, *out).exit_code == 0
    changed = vdr("show", "fax.tif", 2, *index, *out)
    assert changed.exit_code == 1
    assert "does not show what was indexed" in " ".join(changed.stderr.split())


def test_a_damaged_page_is_named_and_the_others_are_indexed(
    vdr: Callable[..., Result], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    pages = colours("red", "lime", "blue")
    pages[1] = TiffPage(pages[1].image, fields={259: 9999})
    write_tiff(tmp_path / "docs" / "fax.tif", pages)
    index = ("--index", tmp_path / "ix")
    for _ in range(2):  # the second time from what the index remembers
        done = vdr("index", tmp_path / "docs", *index, "--model", tiny_checkpoint, "--json")
        found = json.loads(done.stdout)
        assert [failure["page_number"] for failure in found["failed"]] == [2]
    info = shown(vdr("info", *index, "--json"))
    assert (info["documents"], info["pages"]) == (1, 2)


def test_a_page_that_needs_more_memory_is_tried_again_with_more(
    vdr: Callable[..., Result], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    pages = colours("red", "lime", "blue")
    pages[1] = TiffPage(Image.new("1", (9_000, 9_000), 1), "group4")
    path = write_tiff(tmp_path / "fax.tif", pages)
    options = ("--index", tmp_path / "ix", "--model", tiny_checkpoint, "--json")
    failed = [
        [one["page_number"] for one in json.loads(done.stdout)["failed"]]
        for done in (
            vdr("index", path, *options, "--page-memory", 350),
            vdr("index", path, *options, "--page-memory", 350),
            vdr("index", path, *options),
        )
    ]
    assert failed == [[2], [2], []]
