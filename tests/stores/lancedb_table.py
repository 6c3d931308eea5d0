"""LanceDB in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from llama_index.vector_stores.lancedb import LanceDBVectorStore
from tests.stores.community_stores import LanceDB
from tests.stores.vector_store import TableOfStore, Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.embeddings import Embeddings

__all__ = ["LanceDBTable"]


_ADDED_TWICE = Upstream("Ids are not unique: a page that is added again is there twice.")
_FIRST_KEYS = Upstream(
    "The first page decides which metadata keys all pages may have.", raises=ValueError
)


class LanceDBTable(TableOfStore):
    """A table."""

    name = "LanceDB"
    packages = ("lancedb", "llama-index-vector-stores-lancedb", "langchain-community")
    upstream: ClassVar[Mapping[str, Upstream]] = {
        **dict.fromkeys(
            (
                "test_llama_index_finds_a_page_that_was_deleted_no_more",
                "test_llama_index_finds_a_node_that_was_deleted_no_more",
                "test_llama_index_can_add_a_page_after_it_deleted_another",
                "test_a_llama_index_pipeline_embeds_only_what_changed",
                "test_refreshing_a_llama_index_embeds_only_what_changed",
            ),
            Upstream(
                "Deleting, UPSERTS and `refresh_ref_docs` fail: ids are quoted as columns.",
                raises=ValueError,
            ),
        ),
        "test_llama_index_deletes_a_document_by_its_file_name": Upstream(
            "`delete_nodes` takes no filters.", raises=TypeError
        ),
        "test_llama_index_finds_nothing_where_a_filter_lets_nothing_through": Upstream(
            "A search that finds nothing raises `Warning`.", raises=Warning
        ),
        "test_llama_index_has_pages_once_that_are_added_twice": _ADDED_TWICE,
        "test_langchain_has_pages_once_that_are_added_twice": _ADDED_TWICE,
        "test_llama_index_takes_pages_with_more_metadata_than_the_first": _FIRST_KEYS,
        "test_langchain_takes_pages_with_more_metadata_than_the_first": _FIRST_KEYS,
        "test_langchain_gives_back_the_id_of_a_page": Upstream("`Document.id` of a hit is None."),
        "test_langchain_gets_a_page_by_its_id": Upstream(
            "`get_by_ids` is missing.", raises=NotImplementedError
        ),
    }
    warnings = ("table_names\\(\\) is deprecated", "No results found for the query")

    def llama_index(self) -> LanceDBVectorStore:
        return LanceDBVectorStore(uri=str(self.place / "lancedb"), table_name="pages")

    def langchain(self, embeddings: Embeddings) -> LanceDB:
        return LanceDB(
            uri=str(self.place / "lancedb"),
            embedding=embeddings,
            table_name="pages",
            mode="append",
        )

    def where(self, **facts: str | int) -> dict[str, Any]:
        conditions = [f"metadata.{key} = {value!r}" for key, value in facts.items()]
        return {"filter": " AND ".join(conditions)}
