"""From PDFs to pages in an answer, with nothing but LlamaIndex's own parts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.llms.mock import MockLLM, MockLLMWithChatMemoryOfLastCall
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.retrievers.fusion_retriever import FUSION_MODES
from tests.pdfs import write_pdf

from vdr_integrations.llama_index import PDFPageNodeParser, PDFPageReader, VDREmbedding

if TYPE_CHECKING:
    from pathlib import Path

    from tests.llama_index.conftest import Encoded

    from vdr_integrations import PageStore


@pytest.fixture
def index(embedding: VDREmbedding, reader: PDFPageReader, report: Path) -> VectorStoreIndex:
    """The report, indexed."""
    return VectorStoreIndex.from_documents(
        reader.load_data(report),
        transformations=[PDFPageNodeParser()],
        embed_model=embedding,
    )


async def test_scores_are_the_cosines_of_query_and_page(
    index: VectorStoreIndex, embedding: VDREmbedding
) -> None:
    query = "How did revenue change?"
    retriever = index.as_retriever(similarity_top_k=3)
    hits = retriever.retrieve(query)
    assert [hit.node_id for hit in await retriever.aretrieve(query)] == [h.node_id for h in hits]
    for hit in hits:
        page = embedding.get_text_embedding(hit.metadata["page_ref"])
        cosine = float(np.dot(page, embedding.get_query_embedding(query)))
        assert hit.score == pytest.approx(cosine, abs=1e-4)


async def test_many_async_queries_get_the_answers_of_serial_ones(index: VectorStoreIndex) -> None:
    retriever = index.as_retriever(similarity_top_k=3)
    queries = [f"question number {n}" for n in range(16)]
    serial = [[hit.node_id for hit in retriever.retrieve(query)] for query in queries]
    together = await asyncio.gather(*(retriever.aretrieve(query) for query in queries))
    assert [[hit.node_id for hit in hits] for hits in together] == serial


@pytest.mark.parametrize("mode", list(FUSION_MODES))
async def test_fused_retrievers_keep_every_page_once(
    index: VectorStoreIndex,
    embedding: VDREmbedding,
    reader: PDFPageReader,
    tmp_path: Path,
    mode: FUSION_MODES,
) -> None:
    blank = VectorStoreIndex.from_documents(
        reader.load_data(write_pdf(tmp_path / "blank.pdf", ["", ""])),
        transformations=[PDFPageNodeParser()],
        embed_model=embedding,
    )
    fused = QueryFusionRetriever(
        [index.as_retriever(similarity_top_k=3), blank.as_retriever(similarity_top_k=2)],
        llm=MockLLM(),
        mode=mode,
        num_queries=1,
        similarity_top_k=5,
        use_async=False,
    )
    for hits in (fused.retrieve("revenue"), await fused.aretrieve("revenue")):
        assert len({hit.node_id for hit in hits}) == 5


def test_an_index_may_be_built_asynchronously(
    embedding: VDREmbedding, reader: PDFPageReader, report: Path, encoded: Encoded
) -> None:
    embedding.embed_batch_size = 2
    index = VectorStoreIndex.from_documents(
        reader.load_data(report),
        transformations=[PDFPageNodeParser()],
        embed_model=embedding,
        use_async=True,
    )
    assert (encoded.queries, sum(encoded.pages)) == ([], 3)
    assert len(index.as_retriever(similarity_top_k=5).retrieve("revenue")) == 3


def sent_to(llm: MockLLMWithChatMemoryOfLastCall) -> list[ChatMessage]:
    assert llm.last_chat_messages is not None
    return list(llm.last_chat_messages)


async def test_a_multimodal_query_engine_sends_the_page_and_says_which_it_is(
    index: VectorStoreIndex, page_store: PageStore
) -> None:
    llm = MockLLMWithChatMemoryOfLastCall(max_tokens=None, is_chat_model=True)
    retriever = index.as_retriever(similarity_top_k=1)
    engine = RetrieverQueryEngine.from_args(retriever, llm=llm, multimodal=True)
    (hit,) = retriever.retrieve("What fell?")
    for asynchronous in (False, True):
        _ = await engine.aquery("What fell?") if asynchronous else engine.query("What fell?")
        blocks = [block for message in sent_to(llm) for block in message.blocks]
        (image,) = [block for block in blocks if isinstance(block, ImageBlock)]
        stored = page_store.path(hit.metadata["page_ref"])
        assert image.resolve_image().read() == stored.read_bytes()
        text = "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
        assert hit.text.startswith("report.pdf, page ")
        assert hit.text in text
        assert "vdr-page:" not in text
        assert str(page_store.root) not in text


def test_a_text_query_engine_sends_citations_and_text_layers(index: VectorStoreIndex) -> None:
    llm = MockLLMWithChatMemoryOfLastCall(max_tokens=None, is_chat_model=True)
    index.as_query_engine(llm=llm, similarity_top_k=3).query("What fell?")
    text = "\n".join(message.content or "" for message in sent_to(llm))
    assert "report.pdf, page 2 of 3\n\nCosts fell" in text
    assert "vdr-page:" not in text
