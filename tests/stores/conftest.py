"""Pages that every store gets, embedded once, and one table for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_classic.embeddings import CacheBackedEmbeddings
from langchain_core.stores import InMemoryByteStore
from llama_index.core.storage.kvstore import SimpleKVStore
from tests.stores.every_table import NAMES, table_kind
from tests.stores.pages_to_find import DOCUMENTS, VISUAL_TOKENS
from tests.stores.postgres_server import postgres_server
from tests.stores.postgres_table import SOCKET_FOLDER

from vdr_integrations import DenseEncoder
from vdr_integrations.langchain import PDFPageLoader, VDREmbeddings
from vdr_integrations.llama_index import PDFPageNodeParser, PDFPageReader, VDREmbedding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from langchain_core.documents import Document as LangChainDocument
    from langchain_core.embeddings import Embeddings
    from llama_index.core.schema import BaseNode, Document
    from tests.stores.vector_store import TableOfStore


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect what an integration does wrong; a test that passes after all fails, and says so."""
    for item in items:
        if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
            continue
        name = item.callspec.params.get("table")
        if not isinstance(name, str):
            continue
        kind = table_kind(name)
        for warning in kind.warnings:
            item.add_marker(pytest.mark.filterwarnings(f"ignore:{warning}"))
        if (wrong := kind.upstream.get(item.originalname)) is not None:
            mark = pytest.mark.xfail(reason=wrong.reason, raises=wrong.raises, strict=True)
            item.add_marker(mark)


@pytest.fixture(scope="session")
def postgres() -> Iterator[None]:
    """A server for the whole run."""
    with postgres_server() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv(SOCKET_FOLDER, str(folder))
        yield


@pytest.fixture(params=NAMES)
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TableOfStore]:
    """An empty table of each store in turn."""
    if request.param == "Postgres":
        request.getfixturevalue("postgres")
    made = table_kind(request.param)(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session", autouse=True)
def _one_page_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VDR_PAGE_STORE", str(tmp_path_factory.mktemp("page-store")))
        yield


@pytest.fixture(scope="session")
def embedding(_one_page_store: None) -> VDREmbedding:
    """LlamaIndex's embedding; its cache spares the second test the pages of the first."""
    return VDREmbedding(
        model_name="nano",
        device="cpu",
        max_visual_tokens=VISUAL_TOKENS,
        embeddings_cache=SimpleKVStore(),
    )


@pytest.fixture(scope="session")
def documents(_one_page_store: None) -> list[Document]:
    """The pages as LlamaIndex's Documents."""
    return PDFPageReader(max_visual_tokens=VISUAL_TOKENS).load_data(list(DOCUMENTS))


@pytest.fixture
def nodes(documents: list[Document]) -> list[BaseNode]:
    """Nodes of the pages, not embedded yet."""
    return PDFPageNodeParser()(documents)


@pytest.fixture(scope="session")
def embeddings(_one_page_store: None) -> Embeddings:
    """LangChain's embeddings behind its own cache."""
    return CacheBackedEmbeddings.from_bytes_store(
        VDREmbeddings(model="nano", device="cpu", max_visual_tokens=VISUAL_TOKENS),
        InMemoryByteStore(),
        namespace="nano",
        key_encoder="sha256",
        query_embedding_cache=True,
    )


@pytest.fixture(scope="session")
def loaded(_one_page_store: None) -> list[LangChainDocument]:
    """The pages as LangChain's documents."""
    return PDFPageLoader(list(DOCUMENTS), max_visual_tokens=VISUAL_TOKENS).load()


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pages went through the encoder, call by call."""
    counts: list[int] = []
    encode_pages, aencode_pages = DenseEncoder.encode_pages, DenseEncoder.aencode_pages

    def pages(self: DenseEncoder, pages: Sequence[Any], **options: Any) -> Any:
        counts.append(len(pages))
        return encode_pages(self, pages, **options)

    async def apages(self: DenseEncoder, pages: Sequence[Any], **options: Any) -> Any:
        counts.append(len(pages))
        return await aencode_pages(self, pages, **options)

    monkeypatch.setattr(DenseEncoder, "encode_pages", pages)
    monkeypatch.setattr(DenseEncoder, "aencode_pages", apages)
    return counts
