"""Cleans and checks text of documents, file names and callers before it is shown."""

from __future__ import annotations

from pathlib import Path

__all__ = ["is_utf8", "one_line", "shortest_path"]


def one_line(text: str) -> str:
    """The text without line breaks and control characters, which could control a terminal."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in " ".join(text.split())
    )


def shortest_path(source: str) -> str:
    """A document's path on one line: relative to the current folder if it is inside it."""
    path, here = Path(source), Path.cwd()
    return one_line(str(path.relative_to(here)) if path.is_relative_to(here) else source)


def is_utf8(text: str) -> bool:
    """False for text with lone surrogates, which stand for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
