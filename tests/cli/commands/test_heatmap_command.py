"""``vdr heatmap``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tests.cli.menus import MENU, QUESTION, index_menus
from tests.index.documents import write_pdf
from tests.pdfs import encrypt_pdf

from vdr_integrations.cli.options.indexes import opened_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from vdr_integrations.pages import PageStore

pytestmark = pytest.mark.usefixtures("seen_pages")


@pytest.fixture(scope="module")
def menus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two menus, ``docs``, and their late-interaction index, ``ix``."""
    return index_menus(tmp_path_factory.mktemp("menus"))


@pytest.fixture
def draw(
    vdr: Callable[..., Result], menus: Path, tmp_path: Path, page_store: PageStore
) -> Callable[..., Result]:
    def run(*options: object) -> Result:
        return vdr(
            "heatmap", QUESTION, "--index", menus / "ix", "--out", tmp_path / "heat.png", *options
        )

    return run


def shown(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_the_page_that_is_found_first_is_drawn_with_colour_on_the_words(
    draw: Callable[..., Result], menus: Path, tmp_path: Path
) -> None:
    done = draw()
    score, page_number, source, out = done.stdout.rstrip("\n").split("\t")
    assert float(score) > 0.5
    assert (page_number, source) == ("1", (menus / "docs" / "menu.pdf").as_posix())
    assert out == str(tmp_path / "heat.png")
    picture = np.asarray(Image.open(tmp_path / "heat.png").convert("RGB")).astype(int)
    coloured = np.ptp(picture, axis=2) > 60
    height, width = coloured.shape
    assert coloured[: height // 2, width // 2 :].any(), "Sandwich is at the upper right"
    assert coloured.mean() < 0.3


def test_json_gives_the_page_its_words_and_its_regions(draw: Callable[..., Result]) -> None:
    found = shown(draw("--json", "--token", "lemonade", "--boxes", 2))
    assert [word["text"] for word in found["words"]] == ["sandwich", "or", "lemonade"]
    assert found["hit"]["page_number"] == 1
    region = found["regions"][0]
    across, down = MENU["Lemonade"]
    assert region["left"] < across[1]
    assert region["right"] > across[0]
    assert region["top"] < down[1]
    assert region["bottom"] > down[0]


def test_a_token_number_draws_another_picture_than_the_sum(
    draw: Callable[..., Result], tmp_path: Path
) -> None:
    pictures: set[bytes] = set()
    for options in ((), ("--token", "sandwich"), ("--token", 1), ("--boxes", 1)):
        assert draw(*options).exit_code == 0
        pictures.add((tmp_path / "heat.png").read_bytes())
    assert len(pictures) >= 3


def test_a_page_is_named_by_its_rank_or_by_document_and_number(
    draw: Callable[..., Result], menus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = shown(draw("--hit", 2, "--json"))["hit"]
    assert second["source"].endswith("other.pdf")
    monkeypatch.chdir(menus / "docs")
    assert shown(draw("--source", "other.pdf", "--page", 1, "--json"))["hit"] == second


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hit", 9], "--hit 9: the question finds 2 pages"),
        (["--source", "menu.pdf"], "--source and --page together"),
        (["--hit", 1, "--source", "menu.pdf", "--page", 1], "--source and --page together"),
        (["--source", "menu.pdf", "--page", 7], "menu.pdf page 7 is not in index"),
        (["--token", "soup"], "'soup' is not a word of the question"),
        (["--token", 99], "tokens 0 to"),
    ],
)
def test_what_cannot_be_drawn_is_an_error_and_leaves_no_file(
    draw: Callable[..., Result], tmp_path: Path, options: list[object], message: str
) -> None:
    done = draw(*options)
    assert (done.exit_code, done.stdout) == (1, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "heat.png").exists()


def test_a_dense_index_has_no_places_on_pages(
    vdr: Callable[..., Result], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    write_pdf(tmp_path / "a.pdf", ["apples"])
    options = ["--index", tmp_path / "ix"]
    model = ["--model", tiny_checkpoint, "--max-visual-tokens", 16]
    assert vdr("index", tmp_path / "a.pdf", *options, *model).exit_code == 0
    done = vdr("heatmap", "apples", *options, "--out", tmp_path / "heat.png")
    assert done.exit_code == 1
    assert "--late-interaction" in done.stderr


def test_a_folder_that_is_not_there_is_an_error(vdr: Callable[..., Result], menus: Path) -> None:
    with opened_index([menus / "ix"]):
        pass
    out = menus / "none" / "heat.png"
    done = vdr("heatmap", QUESTION, "--index", menus / "ix", "--out", out)
    assert done.exit_code == 1
    assert "none" in done.stderr


def test_a_dash_writes_the_picture_to_stdout_and_another_reads_the_question(
    vdr: Callable[..., Result], menus: Path, page_store: PageStore, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    command = ["heatmap", "-", "--index", menus / "ix"]
    asked = vdr(*command, "--out", "-", asked=f"\n{QUESTION}\n")
    assert asked.exit_code == 0, asked.stderr
    assert vdr("heatmap", QUESTION, *command[2:], "--out", "heat.png").exit_code == 0
    assert asked.stdout_bytes == (tmp_path / "heat.png").read_bytes()
    both = vdr(*command, "--out", "-", "--json", asked=QUESTION)
    assert (both.exit_code, both.stdout) == (1, "")
    assert "only the image" in both.stderr
    two = vdr(*command, "--out", "two.png", asked="Sandwich\nLemonade\n")
    assert (two.exit_code, two.stdout) == (1, "")
    assert "one question" in two.stderr
    assert [file.name for file in tmp_path.glob("*") if file.is_file()] == ["heat.png"]


def test_encrypted_pages_are_drawn_and_reported_with_their_password(
    vdr: Callable[..., Result], tmp_path: Path, page_store: PageStore
) -> None:
    plain = write_pdf(tmp_path / "docs" / "a.pdf", ["Secret plans"])
    encrypt_pdf(plain, password="pw").replace(plain)
    at = ["--index", tmp_path / "ix"]
    new = ["--late-interaction", "--model", "nano-colqwen2", "--max-visual-tokens", 100]
    password = ["--password-env", "PW"]
    assert vdr("index", plain, *at, *new, *password, PW="pw").exit_code == 0
    heat = ["heatmap", "Secret", *at, "--out", tmp_path / "heat.png"]
    assert "encrypted" in vdr(*heat).stderr
    assert vdr(*heat, *password, PW="pw").exit_code == 0
    assert (tmp_path / "heat.png").exists()
    found = ["search", "Secret", *at, "--report", tmp_path / "found.html"]
    assert "encrypted" in vdr(*found).stderr
    done = vdr(*found, *password, PW="pw")
    assert (done.exit_code, done.stderr) == (0, "")
    assert 'class="page"' in (tmp_path / "found.html").read_text(encoding="utf-8")
