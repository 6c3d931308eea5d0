"""Indexes of pages, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from llama_index.core import (
    VectorStoreIndex,
)
from llama_index.core.vector_stores import SimpleVectorStore

from vdr_integrations.llama_index import PDFPageNodeParser, VDREmbedding

if TYPE_CHECKING:
    from llama_index.core.schema import (
        Document,
    )

__all__ = ["assert_embedded_as_pages", "page_index", "stored_vectors"]


def page_index(documents: list[Document], embedding: VDREmbedding) -> VectorStoreIndex:
    """An index of the pages."""
    return VectorStoreIndex.from_documents(
        documents, transformations=[PDFPageNodeParser()], embed_model=embedding
    )


def stored_vectors(index: VectorStoreIndex) -> dict[str, list[float]]:
    """What its vector store holds, by node id."""
    store = index.vector_store
    assert isinstance(store, SimpleVectorStore)
    return store.data.embedding_dict


def assert_embedded_as_pages(
    index: VectorStoreIndex, documents: list[Document], embedding: VDREmbedding
) -> None:
    """Each document has one node in the index, whose vector is its page's."""
    vectors = stored_vectors(index)
    assert len(vectors) == len(documents)
    for document in documents:
        (node,) = [n for n in index.docstore.docs.values() if n.ref_doc_id == document.id_]
        expected = embedding.get_text_embedding(document.metadata["page_ref"])
        np.testing.assert_allclose(vectors[node.node_id], expected, atol=1e-5)
