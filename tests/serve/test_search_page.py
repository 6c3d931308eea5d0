"""The page on which people search: it loads nothing from elsewhere, and runs nothing foreign."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.serving import serving

from vdr_integrations import PageSearcher
from vdr_integrations.look.shared_style import shared_style
from vdr_integrations.serve import build_app
from vdr_integrations.types.hit import SCORE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vdr_integrations import MultiVectorEncoder

pytestmark = pytest.mark.usefixtures("loopback", "seen_pages", "page_store")

FILES = {
    one.name: one.read_text(encoding="utf-8")
    for one in (files("vdr_integrations.serve") / "assets").iterdir()
}
PAGE = FILES["search_page.html"]
SCRIPTS = {name: text for name, text in FILES.items() if name.endswith(".js")}
MOST_LINES = 500
VOID = {"meta", "link", "input", "img"}


class Parsed(HTMLParser):
    """Elements in order; refuses tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


@pytest.fixture(scope="module")
def address(late: MultiVectorEncoder, late_folder: Path) -> Iterator[str]:
    with serving(build_app(late, searcher=PageSearcher(late_folder, encoder=late))) as address:
        yield address


def test_the_page_and_its_files_are_served_with_a_strict_policy(address: str) -> None:
    page = httpx.get(f"{address}/?q=anything")
    assert page.text == PAGE
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    loaded = [
        attributes[name]
        for tag, attributes in Parsed(PAGE).elements
        for name in ("src", "href")
        if name in attributes and tag in {"script", "link"}
    ]
    assert {name.rpartition(".")[2] for name in loaded} == {"css", "js", "svg"}
    imported = [f"web/{name}" for text in SCRIPTS.values() for name in imports_of(text)]
    for path in (*loaded, *imported):
        file = httpx.get(f"{address}/{path}")
        assert file.status_code == 200, path
        assert file.headers["x-content-type-options"] == "nosniff"
        again = httpx.get(f"{address}/{path}", headers={"if-none-match": file.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert {name for name in SCRIPTS if f"web/{name}" not in imported} == {"main.js"}
    assert httpx.get(f"{address}/web/look.css").text == shared_style()
    policy = dict(
        part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def imports_of(script: str) -> list[str]:
    return re.findall(r'from "\./([\w.]+)"', script)


def test_nothing_of_the_page_is_inline_or_from_another_host() -> None:
    for tag, attributes in Parsed(PAGE).elements:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag not in {"style", "iframe", "object", "embed", "base"}
        for name in ("src", "href", "action"):
            assert re.fullmatch(r"(web/[\w.]+|#\w+|\?)?", attributes.get(name, "")), attributes
    for name, text in {**FILES, "look.css": shared_style()}.items():
        addresses = set(re.findall(r"https?://[^\s\"')]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, name
        assert "url(" not in text, name


def test_scripts_make_text_of_what_they_are_told() -> None:
    refused = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|Function\("
    )
    for name, text in SCRIPTS.items():
        code = re.sub(r"//.*|/\*\*.*?\*/", "", text)
        assert not re.search(refused, code), name


def test_a_key_is_only_sent_as_a_header_and_kept_in_the_tab() -> None:
    everything = "".join(SCRIPTS.values())
    assert "localStorage.setItem(SETTING" in everything  # which keys the page listens to
    assert everything.count("localStorage") == 2
    assert everything.count("sessionStorage") == 3
    assert '"authorization"' in SCRIPTS["server.js"]
    assert not re.search(r"[?&]key=", everything)


def test_files_are_short() -> None:
    for name, text in {**FILES, "look.css": shared_style()}.items():
        assert len(text.splitlines()) <= MOST_LINES, name


def test_scripts_find_every_element_that_they_ask_for() -> None:
    page = Parsed(PAGE)
    ids = page.ids()
    assert len(ids) == len(set(ids))
    made = {"seconds"}  # by a script
    for name, text in SCRIPTS.items():
        for asked in re.findall(r'byId\("([\w-]+)"\)', text):
            assert asked in {*ids, *made}, name


def test_a_reader_of_the_screen_finds_headings_landmarks_and_names() -> None:
    page = Parsed(PAGE)
    ids = set(page.ids())
    [root] = [attributes for tag, attributes in page.elements if tag == "html"]
    assert root["lang"] == "en"
    tags = [tag for tag, _ in page.elements]
    assert [tags.count(tag) for tag in ("main", "h1", "footer")] == [1, 1, 1]
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    labels = [attributes.get("for") for tag, attributes in page.elements if tag == "label"]
    for tag, attributes in page.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert {attributes.get(name, "question")} <= ids
        if tag == "input" and attributes["type"] != "checkbox":
            assert attributes["id"] in labels
        if tag == "button":
            assert attributes["type"] in {"button", "submit"}
    [status] = [attributes for _, attributes in page.elements if attributes.get("id") == "status"]
    assert (status["role"], status["aria-live"]) == ("status", "polite")


def test_every_kind_of_score_that_a_search_gives_is_explained() -> None:
    explained = set(re.findall(r'data-score="(\w+)"', PAGE))
    assert explained == set(SCORE_NAMES) - {"bm25"}  # no search of the page ranks by words alone


def test_both_colour_schemes_and_small_screens_have_a_style() -> None:
    style = shared_style() + FILES["search.css"]
    for asked in ("prefers-color-scheme: dark", "prefers-reduced-motion", "max-width: 46rem"):
        assert asked in style
    named = set(re.findall(r"var\((--[\w-]+)", style))
    defined = set(re.findall(r"(--[\w-]+):", style))
    assert named - defined <= {"--shape", "--width"}  # set for each picture
