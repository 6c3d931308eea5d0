"""Qdrant in a folder, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from langchain_qdrant import QdrantVectorStore as LangChainQdrant
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient, models
from tests.stores.vector_store import DIMENSION, TableOfStore, Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from langchain_core.embeddings import Embeddings

__all__ = ["QdrantTable"]


class QdrantTable(TableOfStore):
    """A collection; one process can open the folder at a time."""

    name = "Qdrant"
    packages = ("qdrant-client", "llama-index-vector-stores-qdrant", "langchain-qdrant")
    upstream: ClassVar[Mapping[str, Upstream]] = {
        "test_llama_index_finds_the_page_in_async_code": Upstream(
            "A folder has one client at a time, and async methods need a second one.",
            raises=ValueError,
        ),
        "test_langchain_adds_no_metadata": Upstream(
            "Hits have two more keys, `_id` and `_collection_name`."
        ),
        "test_langchain_gives_back_the_id_of_a_page": Upstream("`Document.id` of a hit is None."),
    }
    warnings = ("Payload indexes have no effect in the local Qdrant",)

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._client = QdrantClient(path=str(place / "qdrant"))

    def llama_index(self) -> QdrantVectorStore:
        return QdrantVectorStore("pages", client=self._client)

    def langchain(self, embeddings: Embeddings) -> LangChainQdrant:
        if not self._client.collection_exists("pages"):
            vectors = models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
            self._client.create_collection("pages", vectors_config=vectors)
        return LangChainQdrant(self._client, "pages", embeddings)

    def where(self, **facts: str | int) -> dict[str, Any]:
        return {
            "filter": models.Filter(
                must=[
                    models.FieldCondition(
                        key=f"metadata.{key}", match=models.MatchValue(value=value)
                    )
                    for key, value in facts.items()
                ]
            )
        }

    def close(self) -> None:
        self._client.close()
