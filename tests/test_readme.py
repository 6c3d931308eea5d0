"""README.md: it is short, every example runs as it is written, and every link leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.documents import ROOT, anchors_of, blocks_of, furnish, links_of, place_of_link, vdr_lines
from typer.testing import CliRunner

from vdr_integrations import DenseEncoder
from vdr_integrations.cli.app import app
from vdr_integrations.defaults import DEFAULT_DENSE_MODEL, DEFAULT_LATE_MODEL
from vdr_integrations.encoders import KNOWN_CHECKPOINTS

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations import PageStore

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = blocks_of(README)
PYTHON = [block.text for block in BLOCKS if block.kind == "python"]
COMMANDS = [arguments for block in BLOCKS if block.kind == "sh" for arguments in vdr_lines(block)]
MOST_WORDS = 1200
MOST_PICTURE_BYTES = 150_000


@pytest.fixture(scope="module", autouse=True)
def _model(seen_pages: None) -> DenseEncoder:
    """One model in memory, which every example shares."""
    return DenseEncoder.load("nano")


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(furnish(tmp_path / "work"))
    return tmp_path / "work"


def test_it_is_read_in_some_minutes() -> None:
    assert len(TEXT.split()) <= MOST_WORDS


def test_its_one_picture_is_small() -> None:
    (picture,) = re.findall(r"!\[[^\]]+\]\((\S+)\)", TEXT)
    place = place_of_link(picture, README)
    assert place is not None
    assert place[0].stat().st_size < MOST_PICTURE_BYTES


def test_it_shows_the_four_ways() -> None:
    ours = [
        re.findall(r"^from (vdr_integrations\S*) import", block, re.MULTILINE) for block in PYTHON
    ]
    assert [modules[-1] for modules in ours] == [
        "vdr_integrations.index",
        "vdr_integrations.llama_index",
        "vdr_integrations.langchain",
    ]
    assert [arguments[0] for arguments in COMMANDS] == ["index", "search"] * 2


def test_no_example_needs_a_download() -> None:
    assert "llamaindex/" not in "".join(block.text for block in BLOCKS)
    assert all("nano" in text for text in PYTHON)


@pytest.mark.parametrize("code", PYTHON, ids=["python", "llama_index", "langchain"])
def test_an_example_finds_the_page_as_it_is_written(
    code: str, reports: Path, page_store: PageStore, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    best = capsys.readouterr().out.splitlines()[0]
    assert re.search(r"report\.pdf(, page)? 3\b", best), best


@pytest.mark.parametrize("index", ["cli-index", "late-index"])
def test_the_commands_find_the_page_as_they_are_written(index: str, reports: Path) -> None:
    make, search = (arguments for arguments in COMMANDS if index in arguments)
    made = CliRunner().invoke(app, make)
    assert made.exit_code == 0, made.stderr
    found = (
        subprocess.run(
            [sys.executable, "-m", "vdr_integrations", *search],
            capture_output=True,
            text=True,
            check=False,
        )
        if index == "cli-index"
        else CliRunner().invoke(app, search)
    )
    assert re.match(r"[\d.]+\t3\t\S+report\.pdf", found.stdout), found.stderr
    assert (reports / "found.html").exists() == (index == "late-index")


def test_it_names_the_defaults_and_every_model() -> None:
    table = TEXT.split("## Models")[1].split("\n## ")[0]
    assert f"`{DEFAULT_DENSE_MODEL}` (default)" in table
    assert f"`{DEFAULT_LATE_MODEL}`" in table
    named = set(re.findall(r"`([^`]+)`", table))
    for known in KNOWN_CHECKPOINTS:
        assert {known, known.removeprefix("vidore/colqwen2")} & named, known


def test_every_link_works_where_the_readme_is_copied_to() -> None:
    relative = [link for link in links_of(README) if not link.startswith("https://")]
    assert relative == []


def test_every_link_to_the_repository_leads_to_a_file_and_a_heading() -> None:
    places = [place for link in links_of(README) if (place := place_of_link(link, README))]
    assert len(places) > 10
    for place, anchor in places:
        assert place.exists(), place
        if anchor:
            assert anchor in anchors_of(place), f"{place}#{anchor}"


def test_every_make_target_that_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake (\w+)", TEXT))
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
