"""Text from documents, file names and callers: checked, and made safe to show."""

from __future__ import annotations

from pathlib import Path

__all__ = ["is_utf8", "one_line", "shortest_path"]


def one_line(text: str) -> str:
    """The text without line breaks and control characters, which could drive a terminal."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in " ".join(text.split())
    )


def shortest_path(source: str) -> str:
    """A document's path from here where it lies beneath, else the whole one; on one line."""
    path, here = Path(source), Path.cwd()
    return one_line(str(path.relative_to(here)) if path.is_relative_to(here) else source)


def is_utf8(text: str) -> bool:
    """False for what was read from bytes that are not UTF-8 and holds lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
