"""All stores that the suite runs with."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.stores.vector_store import TableOfStore

__all__ = ["NAMES", "table_kind"]

_KINDS = {
    "Chroma": "chroma_table.ChromaTable",
    "Qdrant": "qdrant_table.QdrantTable",
    "LanceDB": "lancedb_table.LanceDBTable",
    "FAISS": "faiss_table.FaissTable",
    "Milvus": "milvus_table.MilvusTable",
    "Postgres": "postgres_table.PostgresTable",
}
NAMES = tuple(_KINDS)


def table_kind(name: str) -> type[TableOfStore]:
    """The class of a store's tables; only the packages of this store are imported."""
    module, _, kind = _KINDS[name].partition(".")
    return getattr(import_module(f"tests.stores.{module}"), kind)
