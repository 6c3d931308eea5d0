"""Milvus Lite in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from langchain_milvus import Milvus
from llama_index.vector_stores.milvus import MilvusVectorStore
from milvus_lite.server_manager import server_manager_instance
from tests.stores.vector_store import DIMENSION, TableOfStore, Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.embeddings import Embeddings

__all__ = ["MilvusTable"]


class MilvusTable(TableOfStore):
    """A collection."""

    name = "Milvus"
    packages = (
        "milvus-lite",
        "pymilvus",
        "llama-index-vector-stores-milvus",
        "langchain-milvus",
    )

    upstream: ClassVar[Mapping[str, Upstream]] = {
        "test_llama_index_finds_the_page_in_async_code": Upstream(
            "The async client can be made only where an event loop runs."
        ),
        "test_langchain_adds_no_metadata": Upstream("Hits have one more key, `pk`."),
        "test_langchain_gives_back_the_id_of_a_page": Upstream("`Document.id` of a hit is None."),
        "test_langchain_gets_a_page_by_its_id": Upstream(
            "`get_by_ids` is missing.", raises=NotImplementedError
        ),
    }

    def llama_index(self) -> MilvusVectorStore:
        store = MilvusVectorStore(
            uri=str(self.place / "milvus.db"),
            collection_name="pages",
            dim=DIMENSION,
            db_name="default",
            upsert_mode=True,
            use_async_client=False,
        )
        store.client.load_collection("pages")
        return store

    def langchain(self, embeddings: Embeddings) -> Milvus:
        return Milvus(
            embeddings,
            collection_name="pages",
            connection_args={"uri": str(self.place / "milvus.db"), "db_name": "default"},
            enable_dynamic_field=True,
        )

    def where(self, **facts: str | int) -> dict[str, Any]:
        return {"expr": " and ".join(f"{key} == {value!r}" for key, value in facts.items())}

    def close(self) -> None:
        server_manager_instance.release_server(str(self.place / "milvus.db"))
