"""LlamaIndex, LangChain, the command line and MCP show the same page, image, region, citation."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pymupdf
import pytest
from benchmarks.mcp_session import connected
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from PIL import Image
from typer.testing import CliRunner

from vdr_integrations import MultiVectorEncoder, PageSearcher, langchain, llama_index
from vdr_integrations.agents import ViewLimits, encode_picture
from vdr_integrations.agents.page_service import PageService
from vdr_integrations.cli.app import app
from vdr_integrations.index import LateInteractionIndex, sync_index
from vdr_integrations.langchain import page_blocks
from vdr_integrations.mcp.server import build_server
from vdr_integrations.retrieval import Box, Region

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from vdr_integrations.pages import PageStore

pytestmark = pytest.mark.usefixtures("seen_pages")

QUESTION = "Lemonade"
LIMITS = ViewLimits()


@dataclass(frozen=True)
class Answer:
    """What one way shows of the best page."""

    citation: str
    source: str
    page_ref: str
    image: bytes
    region: str


@pytest.fixture(scope="module")
def encoder() -> MultiVectorEncoder:
    return MultiVectorEncoder.load("nano-colqwen2", device="cpu", max_visual_tokens=300)


@pytest.fixture(scope="module")
def folder(encoder: MultiVectorEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of a document whose pages have Roman labels."""
    root = tmp_path_factory.mktemp("everywhere").resolve()
    with pymupdf.open() as document:
        for word in ("Breakfast", "Pancakes", "Lemonade"):
            page = document.new_page(width=420, height=300)
            page.insert_text((230, 210), word, fontsize=24)
        document.set_page_labels([{"startpage": 0, "style": "r", "firstpagenum": 2}])
        document.save(root / "menu.pdf")
    with LateInteractionIndex.create(root / "ix", encoder=encoder) as index:
        sync_index(index, encoder, [root / "menu.pdf"])
    return root / "ix"


@pytest.fixture(autouse=True)
def _own_page_store(page_store: PageStore) -> None:
    """Images are drawn from the file, in each way anew."""


def of_blocks(blocks: list[str | bytes]) -> Answer:
    """What stands in the reply of an agent's tool: text, page, text, region."""
    first, image, second = blocks[0], blocks[1], blocks[2]
    assert isinstance(first, str)
    assert isinstance(image, bytes)
    assert isinstance(second, str)
    return Answer(
        citation=re.findall(r"^\[1\] (.*), score [\d.]+$", first, re.MULTILINE)[0],
        source=re.findall(r"^document: (.*)$", first, re.MULTILINE)[0],
        page_ref=re.findall(r"^page_ref: (.*)$", first, re.MULTILINE)[0],
        image=image,
        region=re.findall(r"matched best: (left .*?) \(fractions", second)[0],
    )


async def by_llama_index(folder: Path, encoder: MultiVectorEncoder) -> Answer:
    retriever = llama_index.LateInteractionRetriever(folder, encoder=encoder)
    tool = llama_index.VisualDocumentSearchTool(retriever, limits=LIMITS)
    call: dict[str, Any] = {"question": QUESTION, "k": 1, "include_region": True}
    first, second = (
        of_blocks([_read(block) for block in output.blocks])
        for output in (await tool.acall(**call), tool.call(**call))
    )
    assert first == second
    return first


def _read(block: object) -> str | bytes:
    if isinstance(block, TextBlock):
        return block.text
    assert isinstance(block, ImageBlock)
    return block.resolve_image().read()


async def by_langchain(folder: Path, encoder: MultiVectorEncoder) -> Answer:
    retriever = langchain.LateInteractionRetriever(index=folder, encoder=encoder)
    tool = langchain.VisualDocumentSearchTool(retriever=retriever, limits=LIMITS)
    call = {"question": QUESTION, "k": 1, "include_region": True}
    answer, again = (
        of_blocks([one.get("text") or base64.b64decode(one["base64"]) for one in blocks])
        for blocks in (await tool.ainvoke(call), tool.invoke(call))
    )
    assert answer == again
    (page,) = await retriever.ainvoke(QUESTION, k=1)
    # What page_blocks shows of the same document is the same page, too.
    cited, shown = (dict(block) for block in page_blocks([page]))
    assert cited["text"] == f"{answer.citation}:"
    assert encoded(base64.b64decode(str(shown["base64"]))) == answer.image
    return answer


async def by_mcp(folder: Path, encoder: MultiVectorEncoder) -> Answer:
    service = PageService(PageSearcher(folder, encoder=encoder), limits=LIMITS)
    async with connected(build_server(service)) as session:
        call = {"question": QUESTION, "k": 1, "include_region": True}
        found = await session.call_tool("search_pages", call)
    blocks: list[str | bytes] = []
    for block in found["content"]:
        if block["type"] == "text":
            blocks.append(block["text"])
        elif block["type"] == "image":
            blocks.append(base64.b64decode(block["data"]))
    return of_blocks(blocks)


async def by_command_line(folder: Path, encoder: MultiVectorEncoder) -> Answer:
    del encoder  # the command loads the model that the index names
    out = folder.parent / "out.png"

    def run(*arguments: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, [*arguments, "--index", str(folder), "--json"])
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    heat = run("heatmap", QUESTION, "--out", str(out))
    hit, region = heat["hit"], heat["regions"][0]
    shown = run("show", hit["source"], str(hit["page_number"]), "--out", str(out))
    assert shown["page_ref"] == hit["page_ref"]
    assert shown["citation"] == heat["citation"]
    image = encoded(out.read_bytes())
    box = Box.around(Region(**region))
    return Answer(shown["citation"], hit["source"], hit["page_ref"], image, str(box))


def encoded(png: bytes) -> bytes:
    """An image as agents are shown it."""
    image = Image.open(BytesIO(png)).convert("RGB")
    most = LIMITS.max_image_bytes
    return encode_picture(image, max_side_px=LIMITS.max_side_px, max_bytes=most).data


WAYS: list[Callable[[Path, MultiVectorEncoder], Awaitable[Answer]]] = [
    by_llama_index,
    by_langchain,
    by_mcp,
    by_command_line,
]


async def test_all_ways_show_the_same_page_image_region_and_citation(
    folder: Path, encoder: MultiVectorEncoder
) -> None:
    answers = [await way(folder, encoder) for way in WAYS]
    assert answers[0].citation == "menu.pdf, page iv (3 of 3)"
    assert answers[0].source == (folder.parent / "menu.pdf").as_posix()
    for answer in answers[1:]:
        assert answer == answers[0]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All texts that a late-interaction encoder encodes."""
    texts: list[str] = []
    encode, aencode = MultiVectorEncoder.encode_queries, MultiVectorEncoder.aencode_queries

    def counted(self: MultiVectorEncoder, given: Any, **options: bool) -> Any:
        texts.extend(given := list(given))
        return encode(self, given, **options)

    async def acounted(self: MultiVectorEncoder, given: Any, **options: bool) -> Any:
        texts.extend(given := list(given))
        return await aencode(self, given, **options)

    monkeypatch.setattr(MultiVectorEncoder, "encode_queries", counted)
    monkeypatch.setattr(MultiVectorEncoder, "aencode_queries", acounted)
    return texts


@pytest.mark.parametrize("kind", ["llama_index", "langchain", "mcp"])
async def test_a_call_of_a_tool_encodes_its_question_once(
    kind: str, folder: Path, encoder: MultiVectorEncoder, asked: list[str]
) -> None:
    call: dict[str, Any] = {"question": QUESTION, "k": 3, "include_region": True}
    if kind == "llama_index":
        by_words = llama_index.LateInteractionRetriever(folder, encoder=encoder)
        tool = llama_index.VisualDocumentSearchTool(by_words)
        assert not (await tool.acall(**call)).is_error
    elif kind == "langchain":
        retriever = langchain.LateInteractionRetriever(index=folder, encoder=encoder)
        assert await langchain.VisualDocumentSearchTool(retriever=retriever).ainvoke(call)
    else:
        PageService(PageSearcher(folder, encoder=encoder), limits=LIMITS).search(**call)
    assert asked == [QUESTION]
