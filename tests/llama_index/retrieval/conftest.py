"""A tiny ColQwen2 encoder, and an index of a small report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageDraw
from qdrant_client import QdrantClient
from tests.tiny_colqwen2 import write_base

from vdr_integrations import MultiVectorEncoder, load_encoder
from vdr_integrations.index import QdrantServer
from vdr_integrations.llama_index import LateInteractionRetriever, PDFPageNodeParser

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from llama_index.core.schema import BaseNode
    from numpy.typing import NDArray

    from vdr_integrations.llama_index import PDFPageReader

BUDGET = 64
"""Visual tokens of a page."""


@pytest.fixture(scope="session")
def colqwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random ColQwen2 checkpoint."""
    folder = tmp_path_factory.mktemp("colqwen2") / "colqwen2-base"
    write_base(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(colqwen2: Path) -> MultiVectorEncoder:
    """The encoder of it."""
    found = load_encoder(str(colqwen2), device="cpu", max_visual_tokens=BUDGET)
    assert isinstance(found, MultiVectorEncoder)
    return found


@pytest.fixture
def nodes(reader: PDFPageReader, report: Path) -> list[BaseNode]:
    """The report's three pages, as stock indexes get them."""
    return PDFPageNodeParser().get_nodes_from_documents(
        reader.load_data(report, extra_info={"year": 2024, "tags": ["a", "b"]})
    )


@pytest.fixture
def server() -> QdrantServer:
    """A collection in memory: the engine of servers, without one."""
    return QdrantServer(collection="pages", client=QdrantClient(":memory:"))


@pytest.fixture
def retriever(
    nodes: list[BaseNode], encoder: MultiVectorEncoder, server: QdrantServer
) -> Iterator[LateInteractionRetriever]:
    """A retriever of all pages of the report."""
    with LateInteractionRetriever.from_documents(
        nodes, index=server, encoder=encoder, similarity_top_k=3
    ) as made:
        yield made


@pytest.fixture
def in_folder(
    nodes: list[BaseNode], encoder: MultiVectorEncoder, tmp_path: Path
) -> Iterator[LateInteractionRetriever]:
    """The same over an index in a folder, which takes a second to open."""
    with LateInteractionRetriever.from_documents(
        nodes, index=tmp_path / "index", encoder=encoder, similarity_top_k=3
    ) as made:
        yield made


def chart(heights: Sequence[int]) -> Image.Image:
    """A bar chart; each gives other visual tokens."""
    image = Image.new("RGB", (252, 168), "white")
    draw = ImageDraw.Draw(image)
    for place, height in enumerate(heights):
        draw.rectangle((20 + 50 * place, 160 - height, 55 + 50 * place, 160), fill="navy")
    return image


@dataclass
class Encoded:
    """How many pages went through the multi-vector encoder, call by call."""

    pages: list[int] = field(default_factory=list)


@pytest.fixture
def multi_encoded(monkeypatch: pytest.MonkeyPatch) -> Encoded:
    """Counts what the real encoder is asked for."""
    counts = Encoded()
    encode_pages, aencode_pages = MultiVectorEncoder.encode_pages, MultiVectorEncoder.aencode_pages

    def pages(
        self: MultiVectorEncoder, pages: Sequence[Any], **options: Any
    ) -> list[NDArray[np.float32]]:
        counts.pages.append(len(pages))
        return encode_pages(self, pages, **options)

    async def apages(
        self: MultiVectorEncoder, pages: Sequence[Any], **options: Any
    ) -> list[NDArray[np.float32]]:
        counts.pages.append(len(pages))
        return await aencode_pages(self, pages, **options)

    monkeypatch.setattr(MultiVectorEncoder, "encode_pages", pages)
    monkeypatch.setattr(MultiVectorEncoder, "aencode_pages", apages)
    return counts
