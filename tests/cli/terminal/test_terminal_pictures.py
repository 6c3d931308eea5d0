"""Images as text that terminals draw."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from vdr_integrations.cli.terminal.terminal_pictures import cells_of, picture_protocol, picture_text
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

KITTY = re.compile(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\")
ITERM = re.compile(r"\x1b\]1337;File=([^:]*):([A-Za-z0-9+/=]*)\x07\n")
CELL = re.compile(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m▀")


def page() -> Image.Image:
    """Noise, red above and blue below; it compresses to more than one chunk."""
    pixels = np.random.default_rng(0).integers(0, 60, (600, 400, 3), dtype=np.uint8)
    pixels[:300, :, 0] = 255
    pixels[300:, :, 2] = 255
    return Image.fromarray(pixels)


def options(text: str, separator: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(separator))


def png(data: str) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    image.load()
    assert image.format == "PNG"
    return image


def assert_shows_the_page(image: Image.Image) -> None:
    width, height = image.size
    assert width / height == pytest.approx(2 / 3, rel=0.03)
    for row, channel in ((height // 4, 0), (3 * height // 4, 2)):
        assert np.asarray(image.convert("RGB"))[row, width // 2].argmax() == channel


def test_kitty_gets_a_png_in_chunks_of_at_most_4096_characters_and_answers_nothing() -> None:
    text = picture_text(page(), "kitty", columns=30, rows=40)
    chunks = KITTY.findall(text)
    assert KITTY.sub("", text) == "\n"
    assert len(chunks) > 1
    assert all(len(data) <= 4096 for _, data in chunks)
    assert all(len(data) % 4 == 0 for _, data in chunks[:-1])
    first, *others = [options(control, ",") for control, _ in chunks]
    assert first == {"a": "T", "f": "100", "c": "30", "r": "22", "q": "2", "m": "1"}
    assert [set(other) for other in others] == [{"m", "q"}] * len(others)
    assert [other["m"] for other in others] == ["1"] * (len(others) - 1) + ["0"]
    assert_shows_the_page(png("".join(data for _, data in chunks)))


def test_a_kitty_picture_of_one_chunk_is_its_last() -> None:
    text = picture_text(Image.new("RGB", (40, 20)), "kitty", columns=4, rows=4)
    [(control, _)] = KITTY.findall(text)
    assert options(control, ",") == {"a": "T", "f": "100", "c": "4", "r": "1", "q": "2", "m": "0"}


def test_iterm_gets_a_png_inline_with_its_size() -> None:
    text = picture_text(page(), "iterm", columns=30, rows=40)
    [(control, data)] = ITERM.findall(text)
    assert ITERM.sub("", text) == ""
    found = options(control, ";")
    assert found == {
        "inline": "1",
        "size": str(len(base64.b64decode(data))),
        "width": "30",
        "height": "22",
        "preserveAspectRatio": "1",
    }
    assert_shows_the_page(png(data))


def test_blocks_are_two_pixels_a_character_and_colours_end_with_the_line() -> None:
    text = picture_text(page(), "blocks", columns=30, rows=40)
    lines = text.splitlines()
    assert len(lines) == 22
    pixels: list[list[tuple[int, ...]]] = []
    for line in lines:
        cells = [tuple(map(int, cell)) for cell in CELL.findall(line)]
        assert len(cells) == 30
        assert CELL.sub("", line) == "\x1b[0m"
        pixels += [[cell[:3] for cell in cells], [cell[3:] for cell in cells]]
    assert_shows_the_page(Image.fromarray(np.array(pixels, np.uint8)))


@pytest.mark.parametrize(
    ("size", "most", "cells"),
    [
        ((400, 600), (30, 40), (30, 22)),
        ((400, 600), (30, 10), (13, 10)),
        ((600, 400), (30, 40), (30, 10)),
        ((5000, 10), (30, 40), (30, 1)),
        ((10, 5000), (30, 40), (1, 40)),
        ((1, 1), (1, 1), (1, 1)),
    ],
)
def test_a_picture_keeps_its_shape_within_columns_and_lines(
    size: tuple[int, int], most: tuple[int, int], cells: tuple[int, int]
) -> None:
    columns, rows = most
    assert cells_of(*size, columns=columns, rows=rows) == cells
    for protocol in ("kitty", "iterm", "blocks"):
        text = picture_text(Image.new("RGB", size), protocol, columns=columns, rows=rows)
        assert text.endswith("\n")


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty", "COLORTERM": "truecolor"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "blocks"),
        ({"TERM": "xterm-256color", "COLORTERM": "24bit"}, "blocks"),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1", "COLORTERM": "truecolor"}, "blocks"),
        ({"TERM": "xterm-kitty", "TMUX": "1", "COLORTERM": "truecolor"}, "blocks"),
    ],
)
def test_the_environment_says_how_a_terminal_takes_pictures(
    environment: Mapping[str, str], protocol: str
) -> None:
    assert picture_protocol(environment) == protocol


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"TERM": "xterm-256color"},
        {"TERM": "linux", "COLORTERM": "8bit"},
        {"TERM": "dumb", "COLORTERM": "truecolor", "KITTY_WINDOW_ID": "1"},
        {"TERM": "screen", "KITTY_WINDOW_ID": "1"},
    ],
)
def test_a_terminal_that_shows_no_pictures_is_refused_with_what_it_takes(
    environment: Mapping[str, str],
) -> None:
    with pytest.raises(OptionError, match="kitty, Ghostty, WezTerm or iTerm2") as refused:
        picture_protocol(environment)
    assert "COLORTERM=truecolor" in str(refused.value)


def test_blocks_need_an_encoding_that_has_them() -> None:
    environment = {"TERM": "xterm", "COLORTERM": "truecolor"}
    with pytest.raises(OptionError, match="UTF-8"):
        picture_protocol(environment, encoding="latin-1")
