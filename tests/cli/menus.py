"""Pages with few words in large print, which ``nano-colqwen2`` reads reliably."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymupdf
from typer.testing import CliRunner

from vdr_integrations.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

QUESTION = "Sandwich or Lemonade?"
MENU = {
    "Sandwich": ((0.55, 0.85), (0.18, 0.30)),
    "Lemonade": ((0.10, 0.40), (0.62, 0.74)),
}
"""Rough places of the words of the question: from and to, across and down."""


def index_menus(folder: Path) -> Path:
    """The folder, now with ``docs`` and ``ix``."""
    write_words(folder / "docs" / "menu.pdf", ["Breakfast", "Sandwich", "Lemonade", "Harvest"])
    write_words(folder / "docs" / "other.pdf", ["Timetable", "Station", "Platform", "Departure"])
    done = CliRunner().invoke(
        app,
        [
            "index",
            str(folder / "docs"),
            "--index",
            str(folder / "ix"),
            "--late-interaction",
            "--model",
            "nano-colqwen2",
        ],
    )
    assert done.exit_code == 0, done.stderr
    return folder


def write_words(path: Path, words: Sequence[str]) -> Path:
    """A page with words in two columns and two lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pymupdf.open() as document:
        page = document.new_page(width=420, height=300)
        for n, word in enumerate(words):
            page.insert_text((40 + 190 * (n % 2), 80 + 130 * (n // 2)), word, fontsize=24)
        document.save(path)
    return path
