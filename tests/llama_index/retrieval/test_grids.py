"""Where on a page the tokens of a question find their match."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from llama_index.core.schema import QueryBundle, TextNode

from vdr_integrations.errors import OptionError
from vdr_integrations.index import Compression
from vdr_integrations.llama_index import LateInteractionRetriever

if TYPE_CHECKING:
    from llama_index.core.schema import BaseNode
    from tests.llama_index.retrieval.conftest import Encoded

    from vdr_integrations import MultiVectorEncoder, PageStore
    from vdr_integrations.index import QdrantServer

QUERY = "revenue grew"


async def test_a_grid_holds_the_cosines_of_a_token_with_the_page_line_by_line(
    retriever: LateInteractionRetriever,
    encoder: MultiVectorEncoder,
    page_store: PageStore,
    multi_encoded: Encoded,
) -> None:
    (query,) = encoder.encode_queries([QUERY])
    hit = retriever.retrieve(QUERY)[0]
    found = retriever.similarity_grids(QUERY, hit.node)
    assert multi_encoded.pages == []
    page = page_store.get(hit.metadata["page_ref"])
    layout = encoder.page_layout(page.height, page.width)
    assert found.grids.shape == (len(query), layout.rows, layout.columns)
    assert found.tokens == tuple(encoder.query_tokens(QUERY))
    (matrix,) = encoder.encode_pages([page])
    for token in (0, len(query) // 2):
        for row, column in ((0, 0), (layout.rows - 1, 1)):
            vector = matrix[layout.first + row * layout.columns + column]
            cosine = float(query[token] @ vector)
            assert found.grids[token, row, column] == pytest.approx(cosine, abs=2e-3)
    again = await retriever.asimilarity_grids(QueryBundle(QUERY), hit.node)
    np.testing.assert_array_equal(again.grids, found.grids)


def test_the_tokens_of_several_texts_follow_each_other(
    retriever: LateInteractionRetriever, encoder: MultiVectorEncoder
) -> None:
    texts = ["revenue", "costs"]
    node = retriever.retrieve(QUERY)[0].node
    found = retriever.similarity_grids(QueryBundle("", custom_embedding_strs=texts), node)
    expected = [token for text in texts for token in encoder.query_tokens(text)]
    assert list(found.tokens) == expected
    assert len(found.grids) == len(expected)
    drawn = retriever.heatmap(QueryBundle("", custom_embedding_strs=texts), node)
    assert [word.text for word in drawn.words] == texts


async def test_a_heat_map_is_the_grids_over_the_picture_of_the_page(
    retriever: LateInteractionRetriever, page_store: PageStore
) -> None:
    hit = retriever.retrieve(QUERY)[0]
    drawn = retriever.heatmap(QUERY, hit.node)
    np.testing.assert_array_equal(drawn.grids, retriever.similarity_grids(QUERY, hit.node).grids)
    assert drawn.page.tobytes() == page_store.get(hit.metadata["page_ref"]).image.tobytes()
    assert [word.text for word in drawn.words] == QUERY.split()
    assert drawn.label == f"{hit.metadata['file_name']} page {hit.metadata['page_number']}"
    assert (await retriever.aheatmap(QUERY, hit.node)).png() == drawn.png()


def test_nodes_of_a_stock_index_have_the_grids_of_their_pages(
    retriever: LateInteractionRetriever, nodes: list[BaseNode], multi_encoded: Encoded
) -> None:
    hits = {hit.metadata["page_number"]: hit.node for hit in retriever.retrieve(QUERY)}
    for node in nodes:
        expected = retriever.similarity_grids(QUERY, hits[node.metadata["page_number"]])
        found = retriever.similarity_grids(QUERY, node)
        np.testing.assert_array_equal(found.grids, expected.grids)
    assert multi_encoded.pages == []


def test_a_page_whose_tokens_were_pooled_is_encoded_again(
    nodes: list[BaseNode], encoder: MultiVectorEncoder, server: QdrantServer, page_store: PageStore
) -> None:
    pooled = LateInteractionRetriever.from_documents(
        nodes, index=server, encoder=encoder, compression=Compression(token_pooling=3)
    )
    node = pooled.retrieve(QUERY)[0].node
    page = page_store.get(node.metadata["page_ref"])
    layout = encoder.page_layout(page.height, page.width)
    (query,) = encoder.encode_queries([QUERY])
    (matrix,) = encoder.encode_pages([page])
    found = pooled.similarity_grids(QUERY, node)
    np.testing.assert_allclose(
        found.grids.reshape(len(query), -1), query @ matrix[layout.span].T, atol=1e-5
    )


def test_what_has_no_grid_is_refused(
    retriever: LateInteractionRetriever, nodes: list[BaseNode]
) -> None:
    image = QueryBundle("", image_path=nodes[0].metadata["page_ref"])
    with pytest.raises(OptionError, match="a text"):
        retriever.similarity_grids(image, nodes[0])
    for refuses in (retriever.similarity_grids, retriever.heatmap):
        with pytest.raises(OptionError, match="not a page"):
            refuses(QUERY, TextNode(text="text"))
