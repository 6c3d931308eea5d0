"""``vdr search --report``: an HTML file that can be shared."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.cli.menus import QUESTION, index_menus, write_words
from tests.index.documents import write_pdf

from vdr_integrations import load_encoder
from vdr_integrations.cli.report.html_rendering import ReportPage, ReportQuestion, report_html
from vdr_integrations.retrieval import HeatMap, SimilarityGrids
from vdr_integrations.types import Hit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from vdr_integrations.pages import PageStore

pytestmark = pytest.mark.usefixtures("seen_pages")

VOID = {"meta", "img", "rect"}
NASTY = "<script>alert('x')</script>\"&amp;\x1b[2J"


class Parsed(HTMLParser):
    """Elements in order, with the text in each; refuses tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] not in (["style"], ["script"]):
            self.texts.append(data)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [
            found
            for name, found in self.elements
            if name == tag and attributes.items() <= found.items()
        ]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def image_of(uri: str) -> Image.Image:
    head, _, data = uri.partition(";base64,")
    assert head in {"data:image/png", "data:image/webp"}
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    image.load()
    return image


@pytest.fixture(scope="module")
def menus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index_menus(tmp_path_factory.mktemp("menus"))


@pytest.fixture
def html(vdr: Callable[..., Result], menus: Path, tmp_path: Path, page_store: PageStore) -> str:
    """The report of one question."""
    done = vdr("search", QUESTION, "--index", menus / "ix", "--report", tmp_path / "out.html")
    assert done.exit_code == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    return (tmp_path / "out.html").read_text(encoding="utf-8")


def test_nothing_is_requested_and_only_its_own_script_and_style_pass_the_policy(html: str) -> None:
    page = Parsed(html)
    [meta] = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    policy = dict(part.strip().split(" ", 1) for part in meta["content"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "data:"
    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        [inner] = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert policy[kind] == f"'sha256-{digest}'"
    for tag, attributes in page.elements:
        assert "style" not in attributes, "the policy would drop it"
        assert not [name for name in attributes if name.startswith("on")]
        assert tag not in {"link", "iframe", "object", "embed", "form", "base"}
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/"))


def test_a_reader_of_the_screen_finds_headings_landmarks_and_names(html: str) -> None:
    page = Parsed(html)
    [root] = page.all("html")
    assert root["lang"] == "en"
    assert len(page.all("main")) == len(page.all("header")) == len(page.all("footer")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        assert {attributes.get("aria-labelledby", ids[0])} <= set(ids)
    for picture in page.all("img"):
        assert "alt" in picture
    assert [picture["alt"] for picture in page.all("img", **{"class": "page"})] == [
        "menu.pdf, page 1",
        "other.pdf, page 1",
    ]


def test_the_heat_maps_of_each_page_switch_by_word(html: str) -> None:
    page = Parsed(html)
    keys = ["main", "all", "0", "1", "2", "none"]
    buttons = [button for button in page.all("button") if "data-heat" in button]
    assert [button["data-heat"] for button in buttons] == keys
    assert [button["aria-pressed"] for button in buttons] == ["true", *["false"] * 5]
    layers = page.all("img", **{"class": "heat"})
    assert [layer["data-heat"] for layer in layers] == keys[:-1] * 2
    assert ["hidden" in layer for layer in layers] == [False, True, True, True, True] * 2
    pages = page.all("img", **{"class": "page"})
    for number, layer in enumerate(layers):
        picture = image_of(layer["src"])
        assert picture.mode == "RGBA"
        under = image_of(pages[number // 5]["src"])
        assert picture.width / picture.height == pytest.approx(under.width / under.height, rel=0.01)
        assert len(layer["src"]) < 30_000
    _, green, _, alpha = np.moveaxis(np.asarray(image_of(layers[4]["src"]), np.int64), -1, 0)
    hot = alpha * (255 - green)  # colours go from yellow to violet, covering ends before that
    row, column = np.unravel_index(hot.argmax(), hot.shape)
    assert row > hot.shape[0] / 2, "Lemonade is at the lower left"
    assert column < hot.shape[1] / 2


def test_the_score_the_scale_and_their_limits_are_explained(html: str) -> None:
    page = Parsed(html)
    assert page.text.count("Corrected score") == 2
    assert "of at most" not in page.text
    assert page.all("a", href="#read")
    assert [foot["id"] for foot in page.all("footer")] == ["read"]
    for said in (
        "match 0",
        "0.6 or more, on all pages",
        "The sum of these similarities is the MaxSim score.",
        "what the page gets from questions about something else is subtracted",
        "Above 0, the page matches this question better than others.",
        "A high score alone is no proof",
        "a page without any of the words gets a high score too",
        "All pages and all questions have the same scale.",
    ):
        assert said in page.text
    assert "Matches clearly: sandwich." in page.text
    assert "None of the main words matches this page clearly." in page.text


@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        (("--correction", "0"), "MaxSim", "the highest possible score is the number of tokens"),
        (("--hybrid",), "Hybrid", "the words of its text layer count together"),
    ],
)
def test_a_report_says_what_its_scores_are(
    vdr: Callable[..., Result],
    menus: Path,
    tmp_path: Path,
    page_store: PageStore,
    *,
    option: tuple[str, ...],
    name: str,
    said: str,
) -> None:
    out = tmp_path / "out.html"
    done = vdr("search", QUESTION, "--index", menus / "ix", "--report", out, *option)
    assert done.exit_code == 0, done.stderr
    page = Parsed(out.read_text(encoding="utf-8"))
    assert page.text.count(f"{name} score") >= 2
    assert said in page.text
    tokens = len(load_encoder("nano-colqwen2").query_tokens(QUESTION))
    assert page.text.count(f"of at most {tokens}") == (2 if name == "MaxSim" else 0)


def test_without_scripts_everything_but_the_switch_is_shown(html: str) -> None:
    page = Parsed(html)
    shown = [layer for layer in page.all("img", **{"class": "heat"}) if "hidden" not in layer]
    assert [layer["data-heat"] for layer in shown] == ["main"] * 2
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert ".switch { display: none; }" in style
    assert ".scripted .switch" in style


def test_what_was_found_is_said_in_words_too(html: str, menus: Path) -> None:
    page = Parsed(html)
    for said in (QUESTION, "2 pages, best first", "menu.pdf page 1 of 1", "nano-colqwen2"):
        assert said in page.text
    assert "<mark>Sandwich</mark>" in html
    assert f"{QUESTION} · visual search" in page.text
    assert str(menus / "docs" / "menu.pdf") in page.text


def test_everything_that_comes_from_outside_is_escaped() -> None:
    hit = Hit(
        f"/docs/{NASTY}.pdf", 3, 0.5, NASTY, 9, f"vdr-page:{'0' * 64}", text=NASTY, page_id="x"
    )
    tokens = tuple(f" {NASTY}{n}" for n in range(2))
    rng = np.random.default_rng(0)
    grids = SimilarityGrids(tokens, rng.random((2, 5, 4), np.float32))
    heat = HeatMap(grids, Image.new("RGB", (80, 100)), prompt="{query}", label=NASTY)
    found = ReportPage(hit, hit.source, NASTY, heat.page, heat)
    html = report_html(
        [ReportQuestion(NASTY, (found,)), ReportQuestion(NASTY, ())],
        is_late=True,
        index_name=NASTY,
        model=NASTY,
        when=datetime.now(tz=UTC),
    )
    page = Parsed(html)
    assert len(page.all("script")) == 1
    assert html.count("alert(") == html.count("alert(&#39;x&#39;)")
    assert "\x1b" not in html
    assert "No page was found." in page.text
    assert [link["href"] for link in page.all("a")] == ["#found", "#read", "#q1", "#q2"]


def test_several_questions_are_in_one_report_and_json_is_printed_as_ever(
    vdr: Callable[..., Result], menus: Path, tmp_path: Path, page_store: PageStore
) -> None:
    command = ["search", "-", "--index", menus / "ix", "-k", 1, "--json"]
    asked = "Sandwich\nPlatform\n"
    plain = vdr(*command, asked=asked)
    done = vdr(*command, "--report", tmp_path / "out.html", asked=asked)
    assert done.stdout == plain.stdout
    page = Parsed((tmp_path / "out.html").read_text(encoding="utf-8"))
    assert len(page.all("section")) == 2
    assert [p["alt"] for p in page.all("img", **{"class": "page"})] == [
        "menu.pdf, page 1",
        "other.pdf, page 1",
    ]


def test_a_dense_index_gives_a_report_without_heat_maps(
    vdr: Callable[..., Result], tmp_path: Path, tiny_checkpoint: Path, page_store: PageStore
) -> None:
    write_pdf(tmp_path / "docs" / "a.pdf", ["apples", "pears"])
    options = ["--index", tmp_path / "ix"]
    model = ["--model", tiny_checkpoint, "--max-visual-tokens", 16]
    assert vdr("index", tmp_path / "docs", *options, *model).exit_code == 0
    done = vdr("search", "apples", *options, "--report", tmp_path / "out.html")
    assert done.exit_code == 0, done.stderr
    page = Parsed((tmp_path / "out.html").read_text(encoding="utf-8"))
    assert len(page.all("img", **{"class": "page"})) == 2
    assert page.all("img", **{"class": "heat"}) == []
    assert [button for button in page.all("button") if "data-heat" in button] == []
    assert "Cosine score" in page.text
    assert "of at most 1" in page.text
    assert "How to read this report" in page.text
    assert (
        "the cosine between the vector of the question and the vector of the whole page"
        in page.text
    )
    assert "MaxSim" not in page.text


def test_a_page_whose_file_is_gone_is_listed_without_a_picture(
    vdr: Callable[..., Result], tmp_path: Path, page_store: PageStore
) -> None:
    menus = index_menus(tmp_path)
    write_words(menus / "docs" / "menu.pdf", ["Changed"])
    done = vdr("search", QUESTION, "--index", menus / "ix", "--report", tmp_path / "out.html")
    assert done.exit_code == 0
    assert "does not show what was indexed" in done.stderr
    page = Parsed((tmp_path / "out.html").read_text(encoding="utf-8"))
    assert "The image of this page is no longer available." in page.text
    assert [p["alt"] for p in page.all("img", **{"class": "page"})] == ["other.pdf, page 1"]


def test_a_folder_that_is_not_there_is_an_error_before_anything_is_searched(
    vdr: Callable[..., Result], menus: Path, tmp_path: Path
) -> None:
    done = vdr(
        "search", QUESTION, "--index", menus / "ix", "--report", tmp_path / "none" / "out.html"
    )
    assert (done.exit_code, done.stdout) == (1, "")
    assert "does not exist; create it" in done.stderr


def test_the_report_is_no_stream_beside_the_hits(
    vdr: Callable[..., Result], menus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = vdr("search", QUESTION, "--index", menus / "ix", "--report", "-")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "name a file" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_no_word_matches_says_so() -> None:
    heat = HeatMap(
        SimilarityGrids((" word",), np.zeros((1, 5, 4), np.float32)),
        Image.new("RGB", (80, 100)),
        prompt="{query}",
    )
    hit = Hit("/docs/a.pdf", 1, 0.5, "1", 1, f"vdr-page:{'0' * 64}", page_id="x")
    found = ReportPage(hit, hit.source, "", heat.page, heat)
    page = Parsed(
        report_html(
            [ReportQuestion("word", (found,))],
            is_late=True,
            index_name="ix",
            model="m",
            when=datetime.now(tz=UTC),
        )
    )
    assert "None of the words matches this page clearly." in page.text
    [bar] = page.all("rect", **{"class": "full"})[1:]
    assert bar["width"] == "0.0"
