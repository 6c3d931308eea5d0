"""Pages in LangChain's vector stores."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, index
from PIL import Image
from tests.pdfs import write_pdf
from tests.stores.another_process import found_by_another_process
from tests.stores.pages_to_find import QUESTIONS, VISUAL_TOKENS

from vdr_integrations.langchain import (
    PDFPageLoader,
    VDREmbeddings,
    page_blocks,
    page_key,
    page_texts,
)

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStore
    from tests.stores.pages_to_find import Place
    from tests.stores.vector_store import TableOfStore

QUESTION, ANSWER = next(iter(QUESTIONS.items()))
MANY = 120


def places(found: list[Document]) -> list[Place]:
    return [(hit.metadata["file_name"], hit.metadata["page_number"]) for hit in found]


def ids_of(documents: list[Document]) -> list[str]:
    return [document.metadata["page_id"] for document in documents]


@pytest.fixture
def store(table: TableOfStore, embeddings: Embeddings, loaded: list[Document]) -> VectorStore:
    """The pages in the store."""
    made = table.langchain(embeddings)
    assert made.add_documents(loaded, ids=ids_of(loaded)) == ids_of(loaded)
    return made


def test_langchain_finds_the_page_of_each_question_first(store: VectorStore) -> None:
    for question, place in QUESTIONS.items():
        found = places(store.as_retriever(search_kwargs={"k": 3}).invoke(question))
        assert found[0] == place
        assert len(set(found)) == 3


async def test_langchain_finds_the_page_in_async_code(
    table: TableOfStore, embeddings: Embeddings, loaded: list[Document]
) -> None:
    store = table.langchain(embeddings)
    await store.aadd_documents(loaded, ids=ids_of(loaded))
    found = await store.asimilarity_search(QUESTION, k=3)
    assert places(found)[0] == ANSWER


def test_langchain_gives_back_the_content_and_all_metadata(
    store: VectorStore, loaded: list[Document]
) -> None:
    by_id = {document.metadata["page_id"]: document for document in loaded}
    found = store.similarity_search(QUESTION, k=10)
    assert len(found) == 10
    for hit in found:
        document = by_id[hit.metadata["page_id"]]
        assert hit.page_content == document.page_content
        assert {key: hit.metadata[key] for key in document.metadata} == document.metadata
        assert type(hit.metadata["page_number"]) is int


def test_langchain_adds_no_metadata(store: VectorStore, loaded: list[Document]) -> None:
    assert store.similarity_search(QUESTION, k=1)[0].metadata.keys() == loaded[0].metadata.keys()


def test_langchain_gives_back_the_id_of_a_page(store: VectorStore) -> None:
    for hit in store.similarity_search(QUESTION, k=3):
        assert hit.id == hit.metadata["page_id"]


def test_langchain_gets_a_page_by_its_id(store: VectorStore, loaded: list[Document]) -> None:
    (found,) = store.get_by_ids([loaded[2].metadata["page_id"]])
    assert places([found]) == [ANSWER]


def test_langchain_shows_hits_to_a_model_as_picture_and_as_text(store: VectorStore) -> None:
    found = store.similarity_search(QUESTION, k=1)
    caption, picture = page_blocks(found)
    assert caption.get("text") == "library-report.en.pdf, page 3 of 5:"
    with Image.open(io.BytesIO(base64.b64decode(picture.get("base64", "")))) as image:
        assert image.format == "PNG"
    assert "salaries" in page_texts(found)[0].page_content


def test_langchain_filters_by_file_name(store: VectorStore, table: TableOfStore) -> None:
    found = store.similarity_search(QUESTION, k=10, **table.where(file_name="wine-report.it.pdf"))
    assert sorted(places(found)) == [("wine-report.it.pdf", number) for number in range(1, 6)]


def test_langchain_filters_by_page_number(store: VectorStore, table: TableOfStore) -> None:
    third: dict[str, Any] = {"page_number": 3}
    found = store.similarity_search(QUESTION, k=10, **table.where(**third))
    assert sorted(places(found)) == [("library-report.en.pdf", 3), ("wine-report.it.pdf", 3)]
    both = table.where(**third, file_name="wine-report.it.pdf")
    assert places(store.similarity_search(QUESTION, k=10, **both)) == [("wine-report.it.pdf", 3)]


def test_langchain_finds_nothing_where_a_filter_lets_nothing_through(
    store: VectorStore, table: TableOfStore
) -> None:
    assert store.similarity_search(QUESTION, **table.where(file_name="other.pdf")) == []


def test_langchain_has_pages_once_that_are_added_twice(
    store: VectorStore, loaded: list[Document]
) -> None:
    store.add_documents(loaded, ids=ids_of(loaded))
    assert len(set(places(store.similarity_search(QUESTION, k=10)))) == 10


def test_langchain_takes_a_page_that_was_deleted_before(
    store: VectorStore, loaded: list[Document]
) -> None:
    store.delete(ids_of(loaded))
    store.add_documents(loaded, ids=ids_of(loaded))
    assert len(set(places(store.similarity_search(QUESTION, k=10)))) == 10


def test_langchain_finds_pages_that_were_deleted_no_more(
    store: VectorStore, loaded: list[Document]
) -> None:
    store.delete([loaded[2].metadata["page_id"]])
    found = places(store.similarity_search(QUESTION, k=10))
    assert len(found) == 9
    assert ANSWER not in found
    store.delete(ids_of(loaded[:2] + loaded[3:5]))
    found = places(store.similarity_search(QUESTION, k=10))
    assert {name for name, _ in found} == {"wine-report.it.pdf"}


def test_indexing_again_embeds_only_what_changed(
    table: TableOfStore, embeddings: Embeddings, tmp_path: Path, encoded: list[int]
) -> None:
    texts = [f"Paragraph {number}" for number in range(1, MANY + 1)]
    path = write_pdf(tmp_path / "many.pdf", texts)
    manager = InMemoryRecordManager("pages")
    manager.create_schema()

    def run(store: VectorStore) -> tuple[int, int, int]:
        done = index(
            PDFPageLoader(path, max_visual_tokens=VISUAL_TOKENS),
            manager,
            store,
            cleanup="scoped_full",
            source_id_key="source",
            key_encoder=page_key,
        )
        return done["num_added"], done["num_skipped"], done["num_deleted"]

    first = table.langchain(embeddings)
    assert run(first) == (MANY, 0, 0)
    table.keep(first)
    encoded.clear()
    plain = table.langchain(
        VDREmbeddings(model="nano", device="cpu", max_visual_tokens=VISUAL_TOKENS)
    )
    assert run(plain) == (0, MANY, 0)
    assert encoded == []
    write_pdf(path, [*texts[:-1], "Zebra"])
    assert run(plain) == (1, MANY - 1, 1)
    assert encoded == [1]
    assert len(plain.similarity_search("Zebra", k=MANY + 1)) == MANY
    assert places(plain.similarity_search("Zebra", k=1)) == [("many.pdf", MANY)]


def test_langchain_takes_pages_with_more_metadata_than_the_first(
    table: TableOfStore, embeddings: Embeddings, loaded: list[Document]
) -> None:
    store, (first, second) = table.langchain(embeddings), loaded[:2]
    warned = Document(second.page_content, metadata={**second.metadata, "warnings": "A font."})
    for document in (first, warned):
        store.add_documents([document], ids=ids_of([document]))
    found = {hit.metadata["page_number"]: hit.metadata for hit in store.similarity_search(QUESTION)}
    assert found[2]["warnings"] == "A font."
    assert "warnings" not in found[1]


def test_langchain_keeps_pictures_as_pages(
    store: VectorStore, loaded: list[Document], tmp_path: Path
) -> None:
    (block,) = page_blocks([loaded[2]])[1:]
    with Image.open(io.BytesIO(base64.b64decode(block.get("base64", "")))) as page:
        page.convert("L").save(tmp_path / "scan.png")
    (document,) = PDFPageLoader(tmp_path / "scan.png", max_visual_tokens=VISUAL_TOKENS).load()
    store.add_documents([document], ids=ids_of([document]))
    found = store.similarity_search(QUESTION, k=2)
    assert {("scan.png", 1), ANSWER} == set(places(found))
    assert len(page_blocks(found)) == 4


def test_another_process_finds_the_same_page_in_langchain(
    store: VectorStore, table: TableOfStore
) -> None:
    hit = store.similarity_search(QUESTION, k=1)[0]
    table.keep(store)
    table.close()
    assert found_by_another_process(table, "langchain", QUESTION) == {
        "id": hit.id,
        "metadata": hit.metadata,
    }
