"""Replies of the MCP server about pages of all kinds: are they small enough, and do they decode?

    python -m benchmarks.mcp_replies --replies 1000

The pages are generated: text, dense tables, noise (which no codec can compress), huge, tiny and
long pages, PDFs and images. Each reply answers a random call of `search_pages` or `view_page`;
links are followed. Every image is decoded, and a reply may have at most 700,000 characters.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import tempfile
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pymupdf
from PIL import Image

if TYPE_CHECKING:
    from benchmarks.mcp_session import WireSession

__all__ = ["MAX_CHARACTERS", "Checked", "check_replies", "write_varied_documents"]

MAX_CHARACTERS = 700_000
_WORDS = (
    "revenue",
    '"costs"',
    "growth\\decline",
    "outlook",
    "région",
    "größte",
    "Übersicht",
    "売上",
    "2024",
)
_SIZES = ((595, 842), (842, 595), (14_000, 9_000), (30, 30), (2_000, 60), (60, 3_000), (612, 792))


@dataclass
class Checked:
    """What was seen.

    Attributes:
        replies: Calls that were answered.
        images: Pictures that decoded.
        links: Resource links; each was read, and its picture decoded.
        most_characters: Length of the longest reply, as it is sent.
        seconds: All calls together.
    """

    replies: int = 0
    images: int = 0
    links: int = 0
    most_characters: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        """One line."""
        return (
            f"{self.replies} replies in {self.seconds:.0f} s: {self.images} pictures and "
            f"{self.links} links decode; longest reply {self.most_characters:,} characters of "
            f"{MAX_CHARACTERS:,}"
        )


def write_varied_documents(folder: Path, *, pages: int, photo_px: int = 3000) -> None:
    """A PDF of ``pages`` pages of all shapes and contents, and three pictures.

    The largest is ``photo_px`` wide.
    """
    folder.mkdir(parents=True)
    chosen = random.Random(0)
    with pymupdf.open() as document:
        for number in range(pages):
            width, height = _SIZES[number % len(_SIZES)]
            page = document.new_page(width=width, height=height)
            if number % 3 == 0:
                picture = BytesIO()
                _noise(700, 500, seed=number).save(picture, format="PNG")
                page.insert_image(page.rect, stream=picture.getvalue())
            size = max(4, min(width, height) // (20 if number % 2 else 60))
            text = " ".join(chosen.choices(_WORDS, k=600))
            page.insert_textbox(page.rect, text, fontsize=size)
        document.save(folder / "varied.pdf", deflate=True)
    _noise(photo_px, 2 * photo_px // 3, seed=-1).save(folder / "noise.png")
    _noise(90, 4000, seed=-2).save(folder / "long.jpg", quality=95)
    Image.new("RGB", (5, 5), "navy").save(folder / "tiny.png")


async def check_replies(session: WireSession, *, replies: int) -> Checked:
    """Ask, and check each reply.

    Raises:
        AssertionError: An error, a reply that is too long, or a picture that does not decode.
    """
    chosen, checked, began = random.Random(1), Checked(), time.perf_counter()
    listed = await session.call_tool("list_documents", {})
    documents = [line.split("\t") for line in _texts(listed)[0].splitlines()[1:]]
    while checked.replies < replies:
        name, arguments = _random_call(chosen, documents)
        result = await session.call_tool(name, arguments)
        _must(not result["isError"], f"{name} {arguments}: {_texts(result)}")
        checked.replies += 1
        await _check(session, result, checked)
    checked.seconds = time.perf_counter() - began
    return checked


async def _check(session: WireSession, result: dict[str, Any], checked: Checked) -> None:
    length = len(json.dumps(result, ensure_ascii=False, separators=(",", ":")))
    _must(length <= MAX_CHARACTERS, f"{length} characters")
    checked.most_characters = max(checked.most_characters, length)
    links: list[str] = []
    for block in result["content"]:
        if block["type"] == "image":
            _decode(block["data"], block["mimeType"])
            checked.images += 1
        elif block["type"] == "resource_link":
            links.append(block["uri"])
    for uri in links[:1]:  # one of each reply; all go the same way
        found = await session.read_resource(uri)
        _must(len(found["blob"]) <= MAX_CHARACTERS, f"a link of {len(found['blob'])} characters")
        _decode(found["blob"], found["mimeType"])
        checked.links += 1


def _random_call(chosen: random.Random, documents: list[list[str]]) -> tuple[str, dict[str, Any]]:
    if chosen.random() < 0.6:
        question = " ".join(chosen.choices(_WORDS, k=chosen.randint(1, 8)))
        k, region = chosen.randint(1, 20), chosen.random() < 0.5
        return "search_pages", {"question": question, "k": k, "include_region": region}
    source, pages = chosen.choice(documents)
    number = chosen.randint(1, int(pages.split()[0]))
    arguments: dict[str, Any] = {"source": source, "page_number": number}
    if chosen.random() < 0.5:
        left, top = chosen.uniform(0, 0.9), chosen.uniform(0, 0.9)
        arguments["region"] = {
            "left": left,
            "top": top,
            "right": chosen.uniform(left + 0.05, 1),
            "bottom": chosen.uniform(top + 0.05, 1),
        }
    return "view_page", arguments


def _decode(data: str, mime_type: str | None) -> None:
    image = Image.open(BytesIO(base64.b64decode(data, validate=True)))
    image.load()
    _must(Image.MIME[image.format or ""] == mime_type, f"{image.format} as {mime_type}")


def _must(is_so: bool, finding: str) -> None:  # noqa: FBT001  # of this module
    if not is_so:
        raise AssertionError(finding)


def _texts(result: dict[str, Any]) -> list[str]:
    return [block["text"] for block in result["content"] if block["type"] == "text"]


def _noise(width: int, height: int, *, seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed % 1000).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


async def _run(folder: Path, *, replies: int, pages: int) -> Checked:
    from benchmarks.mcp_session import connected
    from vdr_integrations import PageSearcher, load_encoder
    from vdr_integrations.agents.page_service import PageService
    from vdr_integrations.index import LateInteractionIndex, Manifest, sync_index
    from vdr_integrations.mcp.server import MCP_LIMITS, build_server

    write_varied_documents(folder / "docs", pages=pages)
    encoder = load_encoder("nano-colqwen2", max_visual_tokens=256)
    manifest = Manifest.of(encoder)
    with LateInteractionIndex.create(folder / "index", manifest=manifest) as index:
        report = sync_index(index, encoder, [folder / "docs"])
        _must(not report.failed, str(report.failed))
        service = PageService(PageSearcher(index), limits=MCP_LIMITS)
        async with connected(build_server(service)) as session:
            return await check_replies(session, replies=replies)


def main() -> None:
    """Make pages, ask, print."""
    from benchmarks.timing import machine

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replies", type=int, default=1000)
    parser.add_argument("--pages", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checked = asyncio.run(_run(Path(folder), replies=options.replies, pages=options.pages))
    print(machine())
    print(checked)


if __name__ == "__main__":
    main()
