"""What docs/stores.md says of single stores, wrong behaviour of theirs included."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_lancedb import LanceDB as LangChainLanceDB
from langchain_qdrant import QdrantVectorStore as LangChainQdrant
from langchain_qdrant import RetrievalMode, SparseEmbeddings, SparseVector
from llama_index.core import VectorStoreIndex
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from llama_index.vector_stores.lancedb import LanceDBVectorStore
from llama_index.vector_stores.postgres import PGVectorStore
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient
from sqlalchemy import NullPool
from tests.stores.chroma_table import ChromaTable
from tests.stores.community_stores import LanceDB
from tests.stores.faiss_table import FaissTable
from tests.stores.lancedb_table import LanceDBTable
from tests.stores.milvus_table import MilvusTable
from tests.stores.pages_to_find import QUESTIONS
from tests.stores.postgres_table import SOCKET_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_core.embeddings import Embeddings
    from llama_index.core.schema import BaseNode
    from llama_index.core.vector_stores.types import BasePydanticVectorStore

    from vdr_integrations.llama_index import VDREmbedding

QUESTION = next(iter(QUESTIONS))
pytestmark = pytest.mark.filterwarnings(
    "ignore:table_names", "ignore:create_fts_index", "ignore:Payload indexes have no"
)


def ids_of(documents: list[Document]) -> list[str]:
    return [document.metadata["page_id"] for document in documents]


def names(index: VectorStoreIndex) -> set[str]:
    hits = index.as_retriever(similarity_top_k=10).retrieve(QUESTION)
    return {hit.metadata["file_name"] for hit in hits}


def test_chroma_itself_deletes_a_document_by_its_file_name(
    tmp_path: Path, embedding: VDREmbedding, nodes: list[BaseNode]
) -> None:
    table = ChromaTable(tmp_path)
    index = table.index(embedding)
    index.insert_nodes(nodes)
    table.client().get_collection("pages").delete(where={"file_name": "library-report.en.pdf"})
    assert names(index) == {"wine-report.it.pdf"}


def test_lancedb_itself_deletes_a_page_by_its_id(
    tmp_path: Path, embedding: VDREmbedding, nodes: list[BaseNode]
) -> None:
    store = LanceDBTable(tmp_path).llama_index()
    index = VectorStoreIndex.from_vector_store(store, embed_model=embedding)
    index.insert_nodes(nodes)
    table = store.table
    assert table is not None
    for node in nodes[:5]:
        table.delete(f"id = '{node.metadata['page_id']}'")
    assert names(index) == {"wine-report.it.pdf"}


def test_lancedb_replaces_the_table_without_the_mode_append(
    tmp_path: Path, embeddings: Embeddings, loaded: list[Document]
) -> None:
    store = LanceDB(uri=str(tmp_path), embedding=embeddings, table_name="pages")
    for document in loaded[:2]:
        store.add_documents([document], ids=ids_of([document]))
    assert [hit.metadata["page_number"] for hit in store.similarity_search(QUESTION)] == [2]


def test_lancedb_takes_warnings_if_the_first_page_has_the_key(
    tmp_path: Path, embeddings: Embeddings, loaded: list[Document]
) -> None:
    store = LanceDBTable(tmp_path).langchain(embeddings)
    for page, more in zip(loaded, ({"warnings": ""}, {"warnings": "A font."}, {}), strict=False):
        told = Document(page.page_content, metadata={**page.metadata, **more})
        store.add_documents([told], ids=ids_of([page]))
    found = {hit.metadata["page_number"]: hit.metadata for hit in store.similarity_search(QUESTION)}
    assert [found[number]["warnings"] for number in (1, 2, 3)] == ["", "A font.", None]


def test_langchain_lancedb_replaces_the_source_of_a_page(
    tmp_path: Path, embeddings: Embeddings, loaded: list[Document]
) -> None:
    store = LangChainLanceDB(embeddings, uri=tmp_path)
    store.add_documents(loaded[:1], ids=ids_of(loaded[:1]))
    (hit,) = store.similarity_search(QUESTION, k=1)
    assert hit.metadata == {**loaded[0].metadata, "source": str(tmp_path)}


def test_faiss_cannot_be_searched_after_it_refused_an_id(
    tmp_path: Path, embeddings: Embeddings, loaded: list[Document]
) -> None:
    store = FaissTable(tmp_path).langchain(embeddings)
    store.add_documents(loaded, ids=ids_of(loaded))
    with pytest.raises(ValueError, match="ids that already exist"):
        store.add_documents(loaded, ids=ids_of(loaded))
    with pytest.raises(KeyError):
        store.similarity_search(QUESTION, k=20)


def test_milvus_takes_keys_of_its_own_for_content_and_id(
    tmp_path: Path, embeddings: Embeddings, loaded: list[Document]
) -> None:
    table = MilvusTable(tmp_path)
    store = table.langchain(embeddings)
    own = Document(loaded[0].page_content, metadata={"text": "mine", "pk": "my id"})
    store.add_documents([own], ids=ids_of(loaded[:1]))
    (hit,) = store.similarity_search(QUESTION, k=1)
    assert (hit.page_content, hit.metadata["pk"]) == ("mine", "my id")
    table.close()


def test_milvus_drops_keys_that_the_first_page_does_not_have_unless_they_may_change(
    tmp_path: Path, embeddings: Embeddings, loaded: list[Document]
) -> None:
    from langchain_milvus import Milvus

    table = MilvusTable(tmp_path)
    place = {"uri": str(tmp_path / "milvus.db"), "db_name": "default"}
    store = Milvus(embeddings, connection_args=place)
    for page, more in zip(loaded[:2], ({}, {"warnings": "A font."}), strict=True):
        told = Document(page.page_content, metadata={**page.metadata, **more})
        store.add_documents([told], ids=ids_of([page]))
    found = store.similarity_search(QUESTION)
    assert len(found) == 2
    assert all("warnings" not in hit.metadata for hit in found)
    table.close()


def test_sparse_vectors_of_llama_index_for_qdrant_are_made_of_references(
    embedding: VDREmbedding, nodes: list[BaseNode]
) -> None:
    read: list[str] = []

    def sparse(texts: list[str]) -> tuple[list[list[int]], list[list[float]]]:
        read.extend(texts)
        return [[1] for _ in texts], [[1.0] for _ in texts]

    store = QdrantVectorStore(
        "pages",
        client=QdrantClient(":memory:"),
        enable_hybrid=True,
        sparse_doc_fn=sparse,
        sparse_query_fn=sparse,
    )
    VectorStoreIndex.from_vector_store(store, embed_model=embedding).insert_nodes(nodes)
    assert read == [node.metadata["page_ref"] for node in nodes]


class Recorder(SparseEmbeddings):
    """Keeps the texts that sparse vectors are made of."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[SparseVector]:
        self.read.extend(texts)
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> SparseVector:
        return SparseVector(indices=[1], values=[1.0])


def test_sparse_vectors_of_langchain_for_qdrant_are_made_of_references(
    embeddings: Embeddings, loaded: list[Document]
) -> None:
    recorder = Recorder()
    LangChainQdrant.from_documents(
        loaded,
        embeddings,
        location=":memory:",
        sparse_embedding=recorder,
        retrieval_mode=RetrievalMode.HYBRID,
    )
    assert [text for text in recorder.read if text.startswith("vdr-page:")] == [
        document.metadata["page_ref"] for document in loaded
    ]


def word_first(store: BasePydanticVectorStore, embedding: VDREmbedding, nodes: Any) -> Any:
    """The page with a word that only the text layer of one page has, if words are searched."""
    index = VectorStoreIndex.from_vector_store(store, embed_model=embedding)
    index.insert_nodes(nodes)
    retriever = index.as_retriever(
        vector_store_query_mode=VectorStoreQueryMode.HYBRID, similarity_top_k=1, sparse_top_k=1
    )
    return {hit.metadata["page_id"] for hit in retriever.retrieve("volunteers")}


def test_postgres_finds_words_of_pages_in_llama_index(
    postgres: None, embedding: VDREmbedding, nodes: list[BaseNode]
) -> None:
    server = os.environ[SOCKET_FOLDER]
    store = PGVectorStore.from_params(
        connection_string=f"postgresql+psycopg://postgres@/postgres?host={server}",
        async_connection_string=f"postgresql+asyncpg://postgres@/postgres?host={server}",
        table_name="words",
        embed_dim=512,
        hybrid_search=True,
        create_engine_kwargs={"poolclass": NullPool},
    )
    assert nodes[1].metadata["page_id"] in word_first(store, embedding, nodes)


def test_lancedb_finds_words_of_pages_in_llama_index(
    tmp_path: Path, embedding: VDREmbedding, nodes: list[BaseNode]
) -> None:
    store = LanceDBVectorStore(uri=str(tmp_path), table_name="pages", query_type="fts")
    assert word_first(store, embedding, nodes) == {nodes[1].metadata["page_id"]}
