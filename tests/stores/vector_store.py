"""What the tests of both frameworks ask of a vector store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from llama_index.core import VectorStoreIndex

from vdr_integrations.llama_index import PDFPageNodeParser

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStore
    from llama_index.core.vector_stores.types import BasePydanticVectorStore

    from vdr_integrations.llama_index import VDREmbedding

__all__ = ["DIMENSION", "TableOfStore", "Upstream"]

DIMENSION = 512
"""Numbers in a vector of nano."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """What an integration does wrong, in one test.

    Attributes:
        reason: One sentence, as in docs/stores.md.
        raises: How the test fails.
    """

    reason: str
    raises: type[Exception] = AssertionError


class TableOfStore(ABC):
    """One table of a vector store; each object opens it anew.

    Class attributes:
        name: How the store is called in tests and in docs/stores.md.
        packages: Whose versions the results hold for.
        upstream: By the names of tests, what the store or an integration does wrong.
        warnings: How messages of warnings begin that the store's packages cause among themselves.
    """

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    upstream: ClassVar[Mapping[str, Upstream]] = {}
    warnings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, place: Path) -> None:
        self.place = place

    @abstractmethod
    def llama_index(self) -> BasePydanticVectorStore:
        """LlamaIndex's store over the table, which is made if there is none."""

    @abstractmethod
    def langchain(self, embeddings: Embeddings) -> VectorStore:
        """LangChain's store over the table, which is made if there is none."""

    @abstractmethod
    def where(self, **facts: str | int) -> dict[str, Any]:
        """Arguments of LangChain's ``similarity_search``: metadata that equal these."""

    def index(self, embedding: VDREmbedding) -> VectorStoreIndex:
        """LlamaIndex's index over the table, which makes nodes of pages."""
        return VectorStoreIndex.from_vector_store(
            self.llama_index(), embed_model=embedding, transformations=[PDFPageNodeParser()]
        )

    def keep_index(self, index: VectorStoreIndex) -> None:  # noqa: B027  # most need nothing
        """Write to disk what LlamaIndex's store holds in memory."""

    def keep(self, store: VectorStore) -> None:  # noqa: B027  # most need nothing
        """Write to disk what LangChain's store holds in memory."""

    def close(self) -> None:  # noqa: B027  # most need nothing
        """Let other processes open the table."""
