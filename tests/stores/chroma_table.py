"""Chroma in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import chromadb
from chromadb.config import Settings
from langchain_chroma import Chroma
from llama_index.vector_stores.chroma import ChromaVectorStore
from tests.stores.vector_store import TableOfStore, Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.embeddings import Embeddings

__all__ = ["ChromaTable"]


class ChromaTable(TableOfStore):
    """A collection."""

    name = "Chroma"
    packages = ("chromadb", "llama-index-vector-stores-chroma", "langchain-chroma")
    upstream: ClassVar[Mapping[str, Upstream]] = {
        "test_llama_index_deletes_a_document_by_its_file_name": Upstream(
            "`delete_nodes(filters=...)` is refused: it gives Chroma an empty list of ids too.",
            raises=ValueError,
        ),
    }

    def client(self) -> Any:
        return chromadb.PersistentClient(
            str(self.place / "chroma"), Settings(anonymized_telemetry=False)
        )

    def llama_index(self) -> ChromaVectorStore:
        return ChromaVectorStore(self.client().get_or_create_collection("pages"))

    def langchain(self, embeddings: Embeddings) -> Chroma:
        return Chroma("pages", embeddings, client=self.client())

    def where(self, **facts: str | int) -> dict[str, Any]:
        every = [{key: value} for key, value in facts.items()]
        return {"filter": every[0] if len(every) == 1 else {"$and": every}}
