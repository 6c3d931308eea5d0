"""README and docs as tests read them: blocks of code, links, and the anchors of headings."""

from __future__ import annotations

import re
import shlex
import shutil
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pymupdf

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ROOT",
    "Block",
    "anchors_of",
    "blocks_of",
    "furnish",
    "github_anchor",
    "headings_of",
    "links_of",
    "place_of_link",
    "prose_of",
    "site_anchor",
    "vdr_lines",
    "with_bundled_models",
]

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "https://github.com/vdr-integrations/vdr-integrations"
RAW = "https://raw.githubusercontent.com/vdr-integrations/vdr-integrations/main/"
SITE = "https://vdr-integrations.github.io/vdr-integrations/"

_BLOCK = re.compile(r"^( *)```(?P<kind>[^\n`]*)\n(?P<text>.*?)^\1```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_BUNDLED = {"llamaindex/vdr-2b-multi-v1": "nano", "vidore/colqwen2-v1.0": "nano-colqwen2"}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: what follows the three ticks, and the code."""

    kind: str
    text: str


def blocks_of(document: Path) -> list[Block]:
    """All fenced blocks, in order."""
    found = _BLOCK.finditer(document.read_text(encoding="utf-8"))
    return [Block(block["kind"].strip(), block["text"]) for block in found]


def with_bundled_models(text: str) -> str:
    """The text with a bundled checkpoint in the place of each 2B one."""
    for model, bundled in _BUNDLED.items():
        text = text.replace(model, bundled)
    return text


def vdr_lines(block: Block) -> Iterator[list[str]]:
    """The arguments of each ``vdr`` command of a block of shell lines."""
    for line in block.text.splitlines():
        if line.startswith("vdr "):
            yield shlex.split(with_bundled_models(line), comments=True)[1:]


def prose_of(document: Path) -> str:
    """The text without fenced blocks."""
    return _BLOCK.sub("", document.read_text(encoding="utf-8"))


def links_of(document: Path) -> list[str]:
    """The targets of all links and pictures outside code."""
    return _LINK.findall(re.sub(r"`[^`]*`", "", prose_of(document)))


def place_of_link(link: str, document: Path) -> tuple[Path, str] | None:
    """The file or folder of this repository that a link names, and the anchor; None if elsewhere.

    An address of the repository or of the documentation is mapped to the file that it shows.
    """
    target, _, anchor = link.partition("#")
    if (published := _published(target)) is not None:
        return ROOT / unquote(published), anchor
    if re.match(r"[a-z]+:", target):
        return None
    return ((document.parent / unquote(target)) if target else document), anchor


def _published(target: str) -> str | None:
    for prefix in (f"{PROJECT}/blob/main/", f"{PROJECT}/tree/main/", RAW):
        if target.startswith(prefix):
            return target.removeprefix(prefix)
    if target.startswith(SITE):
        page = target.removeprefix(SITE).rstrip("/") or "index"
        return f"docs/{page}.md"
    return None


def anchors_of(document: Path) -> set[str]:
    """The anchors of the headings of a document, as GitHub and the site make them."""
    return {github_anchor(heading) for heading in headings_of(document)}


def headings_of(document: Path) -> list[str]:
    """The text of each heading, without marks of code and links."""
    text = prose_of(document)
    plain = (re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading) for heading in _HEADING.findall(text))
    return [heading.replace("`", "") for heading in plain]


def github_anchor(heading: str) -> str:
    """How GitHub names a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def site_anchor(heading: str) -> str:
    """How MkDocs names a heading."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def furnish(folder: Path) -> Path:
    """Put what examples name into a folder: ``report.pdf``, alone and in ``reports``."""
    (folder / "reports").mkdir(parents=True)
    with pymupdf.open(ROOT / "demo" / "documents" / "library-report.en.pdf") as report:
        report.select([0, 1, 2])
        report.save(folder / "report.pdf")
    shutil.copy(folder / "report.pdf", folder / "reports" / "report.pdf")
    return folder
