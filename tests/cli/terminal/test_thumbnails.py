"""``vdr search --thumbnails`` in a terminal."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from tests.cli.pseudo_terminal import Seen, in_terminal_here
from tests.cli.terminal.test_terminal_pictures import CELL, ITERM, KITTY, png
from tests.index.documents import write_png
from typer.testing import CliRunner

from vdr_integrations.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from vdr_integrations.pages import PageStore

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals")

KITTY_TERMINAL = {"TERM": "xterm-kitty"}
ITERM_TERMINAL = {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}
COLOUR_TERMINAL = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "20"}
COLOURS = {"navy.png": (0, 0, 128), "red.png": (255, 0, 0)}
HEAD = re.compile(r"^-?\d\.\d{4}  1 of 1  (\w+\.png)\n", re.MULTILINE)


@pytest.fixture(scope="module")
def ix(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    """An index of a navy and a red page, and of one whose file is gone."""
    folder = tmp_path_factory.mktemp("thumbnails")
    for name in (*COLOURS, "gone.png"):
        write_png(folder / "docs" / name, name.removesuffix(".png").replace("gone", "white"))
    model = ["--model", str(tiny_checkpoint), "--max-visual-tokens", "16"]
    done = CliRunner().invoke(
        app, ["index", str(folder / "docs"), "--index", str(folder / "ix"), *model]
    )
    assert done.exit_code == 0, done.stderr
    (folder / "docs" / "gone.png").unlink()
    return folder / "ix"


@pytest.fixture
def search(ix: Path, page_store: PageStore, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Seen]:
    """In ``docs``, in a terminal."""
    monkeypatch.chdir(ix.parent / "docs")

    def run(*options: object, **environment: str) -> Seen:
        command = ["search", "navy", "--index", ix, "--device", "cpu", *options]
        return in_terminal_here(monkeypatch, *command, environment=environment)

    return run


@pytest.mark.parametrize(
    "terminal", [KITTY_TERMINAL, ITERM_TERMINAL, COLOUR_TERMINAL], ids=["kitty", "iterm", "colour"]
)
def test_each_hit_is_a_line_with_its_page_below(
    search: Callable[..., Seen], terminal: dict[str, str]
) -> None:
    seen = search("--thumbnails", **terminal)
    assert seen.exit_code == 0
    _, *parts = HEAD.split(seen.terminal)
    below = dict(zip(parts[::2], parts[1::2], strict=True))
    assert set(below) == {*COLOURS, "gone.png"}
    assert below.pop("gone.png") == ""
    assert "gone.png page 1: the file is not here" in seen.other
    assert len(seen.other.splitlines()) == 1
    for name, text in below.items():
        if terminal is COLOUR_TERMINAL:  # no wider than it
            lines = text.splitlines()
            colour = ";".join(map(str, COLOURS[name]))
            assert all(line.count(f"\x1b[38;2;{colour};48;2;{colour}m") == 20 for line in lines)
            assert all(len(CELL.findall(line)) == 20 for line in lines)
        else:
            pattern = KITTY if terminal is KITTY_TERMINAL else ITERM
            image = png("".join(data for _, data in pattern.findall(text)))
            assert image.getpixel((0, 0)) == COLOURS[name]


def test_without_the_option_a_terminal_gets_a_table_and_no_picture(
    search: Callable[..., Seen],
) -> None:
    seen = search(**KITTY_TERMINAL)
    assert "Document" in seen.terminal
    assert "\x1b_G" not in seen.terminal


def test_a_terminal_that_shows_none_is_an_error_that_says_what_is_needed(
    search: Callable[..., Seen],
) -> None:
    seen = search("--thumbnails", TERM="vt100")
    assert (seen.exit_code, seen.terminal) == (1, "")
    assert seen.other.startswith("error: this terminal (TERM=vt100) is not known to show images")
    assert len(seen.other.splitlines()) == 1


def test_a_pipe_gets_no_pictures(vdr: Callable[..., Result], ix: Path) -> None:
    for more, message in ((), "stdout is not a terminal"), (("--json",), "--json"):
        command = ["search", "navy", "--index", ix, "--thumbnails", *more]
        done = vdr(*command, **KITTY_TERMINAL)
        assert (done.exit_code, done.stdout) == (1, "")
        assert message in done.stderr
