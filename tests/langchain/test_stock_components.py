"""Pages through LangChain's own vector store, retriever, indexing API, tool and chain."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import IndexingResult, InMemoryRecordManager, aindex, index
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.tools import create_retriever_tool
from langchain_core.vectorstores import InMemoryVectorStore
from PIL import Image
from pydantic import Field

from vdr_integrations.errors import OptionError, PageReferenceError
from vdr_integrations.langchain import (
    PDFPageLoader,
    VDREmbeddings,
    page_blocks,
    page_image_block,
    page_key,
)
from vdr_integrations.pages import PageStore

MakePdf = Callable[[str, Sequence[str]], Path]


class CountingEmbeddings(VDREmbeddings):
    """Remembers what it was asked to embed."""

    asked: list[str] = Field(default_factory=list[str], exclude=True)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked.extend(texts)
        return super().embed_documents(texts)


@pytest.fixture
def pages(report: Path, page_store: PageStore) -> list[Document]:
    assert page_store == PageStore()
    return PDFPageLoader(report, max_visual_tokens=64).load()


@pytest.fixture
def store(embeddings: VDREmbeddings, pages: list[Document]) -> InMemoryVectorStore:
    store = InMemoryVectorStore(embeddings)
    store.add_documents(pages)
    return store


def test_a_vector_store_holds_the_vectors_of_the_pages(
    store: InMemoryVectorStore, embeddings: VDREmbeddings, pages: list[Document]
) -> None:
    expected = embeddings.embed_documents([page.page_content for page in pages])
    assert [entry["vector"] for entry in store.store.values()] == expected
    assert list(store.store) == [page.id for page in pages]


def test_search_ranks_by_similarity_and_gives_whole_documents(
    store: InMemoryVectorStore, embeddings: VDREmbeddings, pages: list[Document]
) -> None:
    for page in pages:
        vector = embeddings.embed_documents([page.page_content])[0]
        assert store.similarity_search_by_vector(vector, k=1) == [page]
    found = store.similarity_search_with_score("costs", k=3)
    assert sorted((page for page, _ in found), key=lambda d: d.metadata["page"]) == pages
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)


def test_adding_a_page_twice_leaves_one(store: InMemoryVectorStore, pages: list[Document]) -> None:
    store.add_documents(pages)
    assert len(store.store) == 3


def test_a_dumped_store_loads_again(
    store: InMemoryVectorStore, embeddings: VDREmbeddings, tmp_path: Path
) -> None:
    store.dump(str(tmp_path / "store.json"))
    loaded = InMemoryVectorStore.load(str(tmp_path / "store.json"), embeddings)
    assert loaded.similarity_search("costs", k=3) == store.similarity_search("costs", k=3)


async def test_retrievers_give_the_same_sync_and_async(
    store: InMemoryVectorStore, embeddings: VDREmbeddings, pages: list[Document]
) -> None:
    retriever = store.as_retriever(search_kwargs={"k": 2})
    found = retriever.invoke("costs")
    assert len(found) == 2
    assert await retriever.ainvoke("costs") == found
    other = InMemoryVectorStore(embeddings)
    await other.aadd_documents(pages)
    assert await other.asimilarity_search("costs", k=2) == found


def test_pages_and_texts_share_one_store(
    store: InMemoryVectorStore, embeddings: VDREmbeddings
) -> None:
    store.add_texts(["costs"], ids=["note"])
    [best] = store.similarity_search("costs", k=1)
    assert (best.id, best.page_content) == ("note", "costs")
    assert embeddings.embed_documents(["costs"])[0] == store.store["note"]["vector"]


def test_indexing_again_embeds_only_what_changed(
    embeddings: VDREmbeddings, make_pdf: MakePdf
) -> None:
    counting = CountingEmbeddings(**embeddings.model_dump())
    store = InMemoryVectorStore(counting)
    records = InMemoryRecordManager(namespace="pages")
    other = make_pdf("b.pdf", ["Blue"])

    def run(texts: Sequence[str]) -> IndexingResult:
        path = make_pdf("a.pdf", texts)
        counting.asked.clear()
        return index(
            PDFPageLoader([path, other], max_visual_tokens=64),
            records,
            store,
            cleanup="scoped_full",
            source_id_key="source",
            key_encoder=page_key,
        )

    def numbers(*, added: int = 0, skipped: int = 0, deleted: int = 0) -> IndexingResult:
        return IndexingResult(
            num_added=added, num_updated=0, num_skipped=skipped, num_deleted=deleted
        )

    assert run(["Revenue", "Costs", "Outlook"]) == numbers(added=4)
    assert len(counting.asked) == 4
    assert run(["Revenue", "Costs", "Outlook"]) == numbers(skipped=4)
    assert counting.asked == []
    assert run(["Revenue", "Prices", "Outlook"]) == numbers(added=1, skipped=3, deleted=1)
    texts = sorted(entry["metadata"]["page_text"].strip() for entry in store.store.values())
    assert texts == ["Blue", "Outlook", "Prices", "Revenue"]
    assert counting.asked == [
        entry["text"]
        for entry in store.store.values()
        if entry["metadata"]["page_text"].strip() == "Prices"
    ]


async def test_indexing_works_async_and_with_built_in_keys(
    embeddings: VDREmbeddings, pages: list[Document]
) -> None:
    store = InMemoryVectorStore(embeddings)
    records = InMemoryRecordManager(namespace="pages")
    first = await aindex(pages, records, store, key_encoder="sha256")
    second = await aindex(pages, records, store, key_encoder="sha256")
    assert (first["num_added"], second["num_skipped"]) == (3, 3)


def test_page_keys_move_with_content_and_metadata(pages: list[Document]) -> None:
    page = pages[0]
    moved = page.model_copy(update={"metadata": {**page.metadata, "source": "elsewhere.pdf"}})
    changed = page.model_copy(update={"page_content": pages[1].page_content})
    assert len({page_key(page), page_key(moved), page_key(changed)}) == 3
    assert page_key(page) == page_key(page.model_copy(deep=True))


def test_the_image_block_of_a_page_is_its_stored_image(
    pages: list[Document], page_store: PageStore
) -> None:
    block = page_image_block(pages[1])
    assert (block["type"], block.get("mime_type")) == ("image", "image/png")
    image = Image.open(BytesIO(base64.b64decode(block.get("base64", ""))))
    stored = page_store.get(pages[1].page_content).image
    assert (image.size, image.tobytes()) == (stored.size, stored.tobytes())


def test_page_blocks_cite_each_page_before_its_image(pages: list[Document]) -> None:
    blocks = page_blocks(pages[:2])
    assert [block["type"] for block in blocks] == ["text", "image", "text", "image"]
    assert dict(blocks[2])["text"] == f"{pages[1].metadata['file_name']}, page 2 of 3:"


def test_a_page_is_found_by_its_metadata_when_its_content_was_replaced(
    pages: list[Document],
) -> None:
    summary = Document(page_content="a summary", metadata=pages[0].metadata)
    assert page_image_block(summary).get("base64") == page_image_block(pages[0]).get("base64")


def test_a_document_that_is_no_page_has_no_image() -> None:
    with pytest.raises(OptionError, match="PDFPageLoader"):
        page_image_block(Document(page_content="text", id="note"))


def test_a_page_that_is_gone_has_no_image(pages: list[Document], tmp_path: Path) -> None:
    with pytest.raises(PageReferenceError):
        page_image_block(pages[0], page_store_path=str(tmp_path / "empty"))


def test_a_chain_shows_the_model_the_pages(store: InMemoryVectorStore) -> None:
    seen: list[list[BaseMessage]] = []

    def to_messages(found: dict[str, Any]) -> list[BaseMessage]:
        question = {"type": "text", "text": found["question"]}
        content: Any = [question, *page_blocks(found["pages"])]
        seen.append([HumanMessage(content_blocks=content)])
        return seen[-1]

    chain = (
        {"question": RunnablePassthrough(), "pages": store.as_retriever(search_kwargs={"k": 2})}
        | RunnableLambda(to_messages)
        | FakeListChatModel(responses=["They fell."])
    )
    assert chain.invoke("What about costs?").content == "They fell."
    kinds = [block["type"] for block in seen[0][0].content_blocks]
    assert kinds == ["text", "text", "image", "text", "image"]


def test_the_retriever_tool_can_show_the_text_layer(store: InMemoryVectorStore) -> None:
    tool = create_retriever_tool(
        store.as_retriever(search_kwargs={"k": 3}),
        "search_pages",
        "Search the pages of the report.",
        document_prompt=PromptTemplate.from_template("page {page_number}: {page_text}"),
    )
    answer = tool.invoke({"query": "costs"})
    assert "page 2: Costs fell" in answer
    assert "vdr-page:" not in answer
