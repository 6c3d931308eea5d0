"""FAISS in memory, written to a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import faiss
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.vector_stores.faiss import FaissMapVectorStore
from tests.stores.community_stores import FAISS, InMemoryDocstore
from tests.stores.vector_store import DIMENSION, TableOfStore, Upstream

from vdr_integrations.llama_index import PDFPageNodeParser

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStore

    from vdr_integrations.llama_index import VDREmbedding

__all__ = ["FaissTable"]


class FaissTable(TableOfStore):
    """An index of vectors; LlamaIndex keeps the nodes beside it."""

    name = "FAISS"
    packages = ("faiss-cpu", "llama-index-vector-stores-faiss", "langchain-community")

    upstream: ClassVar[Mapping[str, Upstream]] = {
        **dict.fromkeys(
            (
                "test_llama_index_filters_by_file_name",
                "test_llama_index_filters_by_page_number",
                "test_llama_index_filters_by_a_range_of_page_numbers",
                "test_llama_index_finds_nothing_where_a_filter_lets_nothing_through",
            ),
            Upstream("There are no filters.", raises=ValueError),
        ),
        "test_llama_index_deletes_a_document_by_its_file_name": Upstream(
            "There are no filters.", raises=NotImplementedError
        ),
        "test_llama_index_has_pages_once_that_are_added_twice": Upstream(
            "A page that is added again is there twice."
        ),
        "test_llama_index_finds_a_page_that_was_deleted_no_more": Upstream(
            "`delete_ref_doc` leaves the vector, and later searches fail.", raises=KeyError
        ),
        "test_llama_index_can_add_a_page_after_it_deleted_another": Upstream(
            "After a deletion, a new page takes the place of another, which is lost."
        ),
        "test_a_llama_index_pipeline_embeds_only_what_changed": Upstream(
            "A pipeline keeps only vectors, and no index can be opened over them.",
            raises=ValueError,
        ),
        "test_langchain_has_pages_once_that_are_added_twice": Upstream(
            "`add_documents` refuses ids that are there.", raises=ValueError
        ),
    }

    @property
    def _folder(self) -> Path:
        return self.place / "llama-index-faiss"

    def llama_index(self) -> FaissMapVectorStore:
        if self._folder.exists():
            return FaissMapVectorStore.from_persist_dir(str(self._folder))
        return FaissMapVectorStore(faiss.IndexIDMap2(faiss.IndexFlatIP(DIMENSION)))

    def index(self, embedding: VDREmbedding) -> VectorStoreIndex:
        kept = str(self._folder) if self._folder.exists() else None
        storage = StorageContext.from_defaults(vector_store=self.llama_index(), persist_dir=kept)
        if kept is None:
            return VectorStoreIndex(
                [],
                storage_context=storage,
                embed_model=embedding,
                transformations=[PDFPageNodeParser()],
            )
        index = load_index_from_storage(
            storage, embed_model=embedding, transformations=[PDFPageNodeParser()]
        )
        assert isinstance(index, VectorStoreIndex)
        return index

    def keep_index(self, index: VectorStoreIndex) -> None:
        index.storage_context.persist(str(self._folder))

    def langchain(self, embeddings: Embeddings) -> FAISS:
        folder = self.place / "langchain-faiss"
        if folder.exists():
            return FAISS.load_local(str(folder), embeddings, allow_dangerous_deserialization=True)
        return FAISS(embeddings, faiss.IndexFlatL2(DIMENSION), InMemoryDocstore(), {})

    def keep(self, store: VectorStore) -> None:
        assert isinstance(store, FAISS)
        store.save_local(str(self.place / "langchain-faiss"))

    def where(self, **facts: str | int) -> dict[str, Any]:
        return {"filter": facts}
