"""Manual pages as text: titles and paragraphs of Debian's manpages packages, in five languages."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

COMMON = 60  # a section title that more pages than this have says nothing
_BREAKS = frozenset({"PP", "P", "LP", "TP", "IP", "HP", "RS", "RE", "br", "sp"})
_FONTS = frozenset({"B", "I", "BR", "IR", "RB", "RI", "BI", "IB", "SM", "SB"})
_ESCAPES = (
    (re.compile(r"\\f(?:\[[^]]*\]|\(..|.)"), ""),
    (re.compile(r"\\[&,/^|)%:{}]|\\s[-+]?\d"), ""),
    (re.compile(r"\\(?:\(aq|\[aq\])"), "'"),
    (re.compile(r"\\(?:\(co|\[co\])"), "\u00a9"),
    (re.compile(r"\\(?:\(bu|\[bu\])"), "\u2022"),
    (re.compile(r"\\(?:\(em|\[em\])"), "\u2014"),
    (re.compile(r"\\(?:\(en|\[en\])"), "\u2013"),
    (re.compile(r"\\[-]"), "-"),
    (re.compile(r"\\[e\\]"), "\\\\"),
    (re.compile(r"\\[ ~0]"), " "),
    (re.compile(r"\\(?:\(..|\[[^]]*\]|\*.|.)"), ""),
)


@dataclass
class Chapter:
    """A manual page as text."""

    name: str
    about: str
    blocks: list[tuple[str, str]]  # ("title" | "text" | "code", contents)


class _Roff:
    """Gathers the blocks of a file of the ``man`` macros, line by line."""

    def __init__(self) -> None:
        self.blocks: list[tuple[str, str]] = []
        self._lines: list[str] = []
        self._is_code = False

    def text(self, line: str) -> None:
        self._lines.append(line)

    def end(self, *, is_code: bool | None = None) -> None:
        """End a block; the next one is code, or not, or as this one."""
        text = ("\n" if self._is_code else " ").join(self._lines).strip()
        if text:
            self.blocks.append(("code" if self._is_code else "text", text))
        self._lines.clear()
        self._is_code = self._is_code if is_code is None else is_code

    def macro(self, name: str, rest: str) -> None:
        if name in {"SH", "SS"}:
            self.end(is_code=False)
            self.blocks.append(("title", rest))
        elif name in {"nf", "EX", "fi", "EE"}:
            self.end(is_code=name in {"nf", "EX"})
        elif name in _BREAKS and not self._is_code:
            self.end()
        elif name in _FONTS:
            self.text(rest if len(name) == 1 else rest.replace(" ", ""))


def read_chapter(path: Path) -> Chapter | None:
    """A roff file of the ``man`` macros; None where it only refers to another one."""
    roff = _Roff()
    for line in gzip.decompress(path.read_bytes()).decode("utf-8", "replace").splitlines():
        macro = re.match(r"[.']\s*(\S*)\s*(.*)", line)
        if macro is None:
            roff.text(_plain(line))
        elif macro[1] == "so":
            return None
        elif not macro[1].startswith('\\"'):
            roff.macro(macro[1], _plain(macro[2].replace('"', "")))
    roff.end()
    about = next((text for kind, text in roff.blocks if kind == "text"), "")
    parts = re.split(r"\s+[-\u2013\u2014]+\s+", about, maxsplit=1)
    if len(parts) != 2 or len(roff.blocks) < 6:
        return None
    return Chapter(path.name.split(".")[0], parts[1], roff.blocks[2:])


def _plain(text: str) -> str:
    for pattern, by in _ESCAPES:
        text = pattern.sub(by, text)
    return text


@cache
def chapters(root: Path, language: str) -> list[Chapter]:
    """What the packages have in a language, title by title; root is ``/usr/share/man``."""
    folder = root if language == "en" else root / language
    paths = [path for path in sorted(folder.glob("man*/*.gz")) if not path.is_symlink()]
    found = [read_chapter(path) for path in paths]
    known = [*{str(one.blocks): one for one in found if one is not None}.values()]
    if not known:
        raise FileNotFoundError(
            f"no manual pages of {language!r} under {root}; install manpages-{language}"
        )
    counts: dict[str, int] = {}
    for one in known:
        for title in {text.casefold() for kind, text in one.blocks if kind == "title"}:
            counts[title] = counts.get(title, 0) + 1
    most = min(COMMON, max(2, len(known) // 20))
    for one in known:
        one.blocks = [
            ("common" if kind == "title" and counts[text.casefold()] > most else kind, text)
            for kind, text in one.blocks
        ]
    return known
