"""Facts on stdout, one line each, for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from vdr_integrations.cli.terminal.clean_text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["bytes_in_words", "say_facts"]


def say_facts(facts: Mapping[str, Any]) -> None:
    """One line per fact that is not None, with the names in a column."""
    named = {name.replace("_", " "): value for name, value in facts.items() if value is not None}
    width = max(map(len, named), default=0)
    for name, value in named.items():
        shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value
        sys.stdout.write(f"{name:<{width}}  {one_line(str(shown))}\n")


def bytes_in_words(count: int) -> str:
    """A size such as ``4.4 GB``; 1 kB is 1,000 bytes."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
