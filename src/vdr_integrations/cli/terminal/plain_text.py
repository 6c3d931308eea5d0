"""Facts on stdout, as lines for people and as JSON for programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vdr_integrations.cli.terminal.exits import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["bytes_in_words", "is_utf8", "say_facts", "say_json", "shortest_path"]


def say_json(found: object) -> None:
    """One line of JSON; characters that stdout's encoding does not have are escaped."""
    line = json.dumps(found, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        line = json.dumps(found)
    sys.stdout.write(f"{line}\n")


def say_facts(facts: Mapping[str, Any]) -> None:
    """A line for each fact that there is, names in a column."""
    named = {name.replace("_", " "): value for name, value in facts.items() if value is not None}
    width = max(map(len, named), default=0)
    for name, value in named.items():
        shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value
        sys.stdout.write(f"{name:<{width}}  {one_line(str(shown))}\n")


def is_utf8(text: str) -> bool:
    """False for what was read from bytes that are not UTF-8 and holds lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def bytes_in_words(count: int) -> str:
    """``4.4 GB``; 1 kB is 1,000 bytes."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"


def shortest_path(source: str) -> str:
    """A document's path from here where it lies beneath, else the whole one; on one line."""
    path, here = Path(source), Path.cwd()
    return one_line(str(path.relative_to(here)) if path.is_relative_to(here) else source)
