"""Late interaction inside LlamaIndex's own parts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ImageBlock, TextBlock
from llama_index.core.llms.mock import MockLLM
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.retrievers.fusion_retriever import FUSION_MODES
from pydantic import Field
from tests.llama_index.retrieval.conftest import chart
from tests.pdfs import write_pdf

from vdr_integrations.index import LateInteractionIndex, Manifest, sync_index
from vdr_integrations.llama_index import (
    LateInteractionRerank,
    LateInteractionRetriever,
    VDREmbedding,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from llama_index.core.schema import BaseNode

    from vdr_integrations import MultiVectorEncoder, PageStore
    from vdr_integrations.index import QdrantServer


@pytest.fixture
def dense(nodes: list[BaseNode], tiny_checkpoint: Path) -> VectorStoreIndex:
    """The same pages in a stock index."""
    embedding = VDREmbedding(model_name=str(tiny_checkpoint), device="cpu", max_visual_tokens=64)
    return VectorStoreIndex(nodes, embed_model=embedding)


class Listener(MockLLM):
    """A chat model that keeps what it is shown; LlamaIndex shows it one page after the other."""

    heard: list[ChatMessage] = Field(default_factory=list)

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        self.heard.extend(messages)
        return super().chat(messages, **kwargs)


async def shown(engine: RetrieverQueryEngine, llm: Listener) -> tuple[list[bytes], str]:
    """Images and text that a question sends to the language model, the same both ways."""
    heard: list[tuple[list[bytes], str]] = []
    for asynchronous in (False, True):
        llm.heard.clear()
        _ = await engine.aquery("What fell?") if asynchronous else engine.query("What fell?")
        blocks = [block for message in llm.heard for block in message.blocks]
        images = [b.resolve_image().read() for b in blocks if isinstance(b, ImageBlock)]
        text = "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
        heard.append((images, text))
    assert heard[0] == heard[1]
    return heard[0]


async def test_a_multimodal_query_engine_sends_the_pages_and_says_which_they_are(
    retriever: LateInteractionRetriever, encoder: MultiVectorEncoder, page_store: PageStore
) -> None:
    llm = Listener(max_tokens=8, is_chat_model=True)
    rerank = LateInteractionRerank(index=retriever.searcher.index, encoder=encoder, top_n=2)
    engine = RetrieverQueryEngine.from_args(
        retriever,
        llm=llm,
        multimodal=True,
        node_postprocessors=[SimilarityPostprocessor(similarity_cutoff=0.5), rerank],
    )
    images, text = await shown(engine, llm)
    expected = retriever.retrieve("What fell?")[:2]
    stored = [page_store.path(hit.metadata["page_ref"]).read_bytes() for hit in expected]
    assert images == stored
    for hit in expected:
        assert hit.text.startswith("report.pdf, page ")
        assert hit.text in text
    assert "vdr-page:" not in text
    assert str(page_store.root) not in text


@pytest.mark.parametrize("mode", list(FUSION_MODES))
@pytest.mark.parametrize("use_async", [False, True])
async def test_a_page_that_a_stock_index_finds_too_is_fused_into_one(
    retriever: LateInteractionRetriever,
    dense: VectorStoreIndex,
    mode: FUSION_MODES,
    *,
    use_async: bool,
) -> None:
    stock = dense.as_retriever(similarity_top_k=3)
    for retrievers in ([retriever, stock], [stock, retriever]):
        fused = QueryFusionRetriever(
            retrievers,
            llm=MockLLM(),
            mode=mode,
            num_queries=1,
            similarity_top_k=9,
            use_async=use_async,
        )
        hits = await fused.aretrieve("revenue") if use_async else fused.retrieve("revenue")
        assert sorted(hit.metadata["page_number"] for hit in hits) == [1, 2, 3]


@pytest.fixture
def files(
    tmp_path: Path, report: Path, encoder: MultiVectorEncoder, server: QdrantServer
) -> LateInteractionIndex:
    """An index of files, which keeps no images."""
    chart([40, 90, 120]).save(tmp_path / "chart.png")
    index = LateInteractionIndex.create(server, manifest=Manifest.of(encoder))
    sync_index(index, encoder, [report, tmp_path / "chart.png"])
    return index


async def test_images_of_an_index_of_files_are_drawn_when_a_page_is_found(
    files: LateInteractionIndex, encoder: MultiVectorEncoder, page_store: PageStore
) -> None:
    llm = Listener(max_tokens=8, is_chat_model=True)
    retriever = LateInteractionRetriever(files, encoder=encoder, similarity_top_k=4)
    engine = RetrieverQueryEngine.from_args(retriever, llm=llm, multimodal=True)
    images, text = await shown(engine, llm)
    hits = retriever.retrieve("What fell?")
    assert {hit.metadata["file_name"] for hit in hits} == {"report.pdf", "chart.png"}
    assert images == [page_store.path(h.metadata["page_ref"]).read_bytes() for h in hits]
    for hit in hits:
        assert str(page_store.get(hit.metadata["page_ref"]).ref) == hit.metadata["page_ref"]
    assert "report.pdf, page 2 of 3\n\nCosts fell" in text
    assert "chart.png, page 1 of 1" in text


@pytest.mark.parametrize("change", ["changed", "shorter", "gone", "broken"])
def test_an_image_that_was_not_indexed_is_never_shown_for_one_that_was(  # noqa: PLR0917
    files: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    report: Path,
    page_store: PageStore,
    caplog: pytest.LogCaptureFixture,
    change: str,
) -> None:
    if change == "changed":
        write_pdf(report, ["Something", "entirely", "else"])
    elif change == "shorter":
        write_pdf(report, ["Revenue grew"])
    elif change == "gone":
        report.unlink()
    else:
        report.write_bytes(b"%PDF-1.7 no more")
    retriever = LateInteractionRetriever(files, encoder=encoder, similarity_top_k=4)
    with caplog.at_level(logging.WARNING):
        hits = retriever.retrieve("What fell?")
    assert len(hits) == 4
    stored = {hit.metadata["page_number"] for hit in hits if hit.metadata["page_ref"] in page_store}
    assert stored == {1}  # of the chart, and of the report where its first page is as it was
    assert "no images of" in caplog.text
    assert str(report) in caplog.text
