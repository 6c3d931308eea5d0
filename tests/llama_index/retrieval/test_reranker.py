"""Reranking the nodes of any retriever."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.schema import (
    BaseNode,
    ImageNode,
    MediaResource,
    Node,
    NodeWithScore,
    QueryBundle,
    TextNode,
)
from PIL import Image
from pydantic import SecretStr, ValidationError
from tests.llama_index.retrieval.conftest import BUDGET, Encoded, chart

from vdr_integrations import MultiVectorEncoder, PageImage
from vdr_integrations.errors import IndexMismatchError, OptionError, PageReferenceError
from vdr_integrations.index import Compression, QdrantServer, maxsim_score
from vdr_integrations.llama_index import (
    LateInteractionRerank,
    LateInteractionRetriever,
    VDREmbedding,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.llama_index.conftest import Observed

    from vdr_integrations import PageStore

pytestmark = pytest.mark.usefixtures("seen_pages")

QUERY = "How did revenue change?"


def scored(nodes: list[BaseNode]) -> list[NodeWithScore]:
    """As a retriever would give them, in an order of its own."""
    return [NodeWithScore(node=node, score=1 / (1 + place)) for place, node in enumerate(nodes)]


async def reranked(
    rerank: LateInteractionRerank, nodes: list[NodeWithScore], query: QueryBundle | str = QUERY
) -> list[list[NodeWithScore]]:
    """By both ways."""
    bundle = QueryBundle(query) if isinstance(query, str) else query
    return [
        rerank.postprocess_nodes(nodes, query_bundle=bundle),
        await rerank.apostprocess_nodes(nodes, query_bundle=bundle),
    ]


@pytest.fixture
def charts(tmp_path: Path) -> list[BaseNode]:
    """Images that no index holds: by path, as base64, and in a generic node."""
    made: list[BaseNode] = []
    for place, heights in enumerate(([20, 50, 90], [90, 50, 20], [60, 60, 60])):
        path = tmp_path / f"chart{place}.png"
        chart(heights).save(path)
        made.append(ImageNode(image_path=str(path), id_=f"chart {place}"))
    made[2] = Node(image_resource=MediaResource(path=tmp_path / "chart2.png"), id_="chart 2")
    return made


async def test_nodes_come_back_by_their_exact_scores(
    charts: list[BaseNode], encoder: MultiVectorEncoder, tmp_path: Path, multi_encoded: Encoded
) -> None:
    rerank = LateInteractionRerank(encoder=encoder, top_n=2)
    image = QueryBundle("", image_path=str(tmp_path / "chart1.png"))
    pages = [PageImage.from_pil(chart(h)) for h in ([20, 50, 90], [90, 50, 20], [60, 60, 60])]
    matrices = encoder.encode_pages(pages)
    scores = [maxsim_score(matrices[1], matrix) for matrix in matrices]
    order = np.argsort(scores)[::-1]
    multi_encoded.pages.clear()
    for hits in await reranked(rerank, scored(charts), image):
        assert [hit.node_id for hit in hits] == [f"chart {place}" for place in order[:2]]
        assert hits[0].node_id == "chart 1"
        np.testing.assert_allclose(
            [hit.get_score() for hit in hits], sorted(scores)[:0:-1], atol=1e-3
        )
    assert multi_encoded.pages == [1, 3, 1, 3]  # the question, and all nodes in one call


async def test_stored_vectors_are_used_where_there_are_some_and_the_rest_is_encoded_at_once(
    retriever: LateInteractionRetriever,
    nodes: list[BaseNode],
    charts: list[BaseNode],
    encoder: MultiVectorEncoder,
    multi_encoded: Encoded,
) -> None:
    rerank = LateInteractionRerank(index=retriever.searcher.index, encoder=encoder, top_n=9)
    expected = {hit.metadata["page_number"]: hit.score for hit in retriever.retrieve(QUERY)}
    for hits in await reranked(rerank, scored([*charts[:1], *nodes, *charts[1:]])):
        assert len(hits) == 6
        found = {h.metadata["page_number"]: h.score for h in hits if h.metadata}
        assert found == expected
    assert multi_encoded.pages == [3, 3]


@pytest.mark.parametrize("compression", [Compression(), Compression(token_pooling=3)], ids=str)
async def test_a_page_scores_the_same_whether_the_index_holds_it_or_not(
    nodes: list[BaseNode],
    encoder: MultiVectorEncoder,
    page_store: PageStore,
    server: QdrantServer,
    compression: Compression,
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (168, 252, 3), dtype=np.uint8)
    ref = str(page_store.put(PageImage(Image.fromarray(noise))))
    nodes[1].metadata["page_ref"] = ref
    retriever = LateInteractionRetriever.from_documents(
        nodes, index=server, encoder=encoder, compression=compression
    )
    rerank = LateInteractionRerank(index=retriever.searcher.index, encoder=encoder, top_n=9)
    query = QueryBundle("", image_path=ref)
    (stored, _) = await reranked(rerank, scored(nodes), query)
    retriever.searcher.index.remove_pages(retriever.searcher.index.page_ids()[:2])
    for hits in await reranked(rerank, scored(nodes), query):
        assert [hit.node_id for hit in hits] == [hit.node_id for hit in stored]
        np.testing.assert_allclose(
            [hit.get_score() for hit in hits], [hit.get_score() for hit in stored], atol=2e-2
        )
    unpooled = LateInteractionRerank(encoder=encoder, top_n=9).postprocess_nodes(
        scored(nodes), query
    )
    gap = unpooled[0].get_score() - stored[0].get_score()
    assert gap > 0.1 if compression.token_pooling > 1 else abs(gap) < 0.02


async def test_a_node_of_an_older_image_is_not_given_the_vectors_of_the_new_one(
    retriever: LateInteractionRetriever,
    nodes: list[BaseNode],
    encoder: MultiVectorEncoder,
    multi_encoded: Encoded,
) -> None:
    index = retriever.searcher.index
    newer = nodes[0].model_copy(deep=True)
    newer.metadata["page_ref"] = nodes[1].metadata["page_ref"]
    retriever.add_nodes([newer])
    multi_encoded.pages.clear()
    rerank = LateInteractionRerank(index=index, encoder=encoder, top_n=9)
    image = QueryBundle("", image_path=nodes[0].metadata["page_ref"])
    for hits in await reranked(rerank, scored(nodes), image):
        assert hits[0].node_id == nodes[0].node_id
    assert multi_encoded.pages == [1, 1, 1, 1]


async def test_a_stock_retriever_is_reranked_and_its_nodes_stay_as_they_are(
    nodes: list[BaseNode], tiny_checkpoint: Path, encoder: MultiVectorEncoder
) -> None:
    embedding = VDREmbedding(model_name=str(tiny_checkpoint), device="cpu", max_visual_tokens=64)
    hits = VectorStoreIndex(nodes, embed_model=embedding).as_retriever(similarity_top_k=3)
    found = hits.retrieve(QUERY)
    before = copy.deepcopy(found)
    image = QueryBundle("", image_path=nodes[2].metadata["page_ref"])
    for better in await reranked(LateInteractionRerank(encoder=encoder, top_n=3), found, image):
        assert better[0].node_id == nodes[2].node_id
        assert sorted(hit.node_id for hit in better) == sorted(node.node_id for node in nodes)
    assert found == before
    assert image == QueryBundle("", image_path=nodes[2].metadata["page_ref"])


async def test_equal_scores_keep_their_order_and_equal_images_are_encoded_once(
    nodes: list[BaseNode], encoder: MultiVectorEncoder, multi_encoded: Encoded
) -> None:
    pieces = [
        TextNode(text=f"piece {n}", metadata=nodes[0].metadata, id_=f"piece {n}") for n in range(3)
    ]
    rerank = LateInteractionRerank(encoder=encoder, top_n=3)
    for hits in await reranked(rerank, scored([pieces[1], pieces[0], pieces[2]])):
        assert [hit.node_id for hit in hits] == ["piece 1", "piece 0", "piece 2"]
    assert multi_encoded.pages == [1, 1]


async def test_nodes_without_image_are_refused_or_come_last(
    nodes: list[BaseNode], encoder: MultiVectorEncoder
) -> None:
    mixed = scored([TextNode(text="a", id_="a"), *nodes[:2], TextNode(text="b", id_="b")])
    refusing = LateInteractionRerank(encoder=encoder, top_n=4)
    with pytest.raises(OptionError, match="TextNode a has no image"):
        refusing.postprocess_nodes(mixed, query_str=QUERY)
    with pytest.raises(OptionError, match="TextNode a has no image"):
        await refusing.apostprocess_nodes(mixed, query_str=QUERY)
    for top_n in (4, 3):
        keeping = LateInteractionRerank(encoder=encoder, top_n=top_n, keep_text_nodes=True)
        for hits in await reranked(keeping, mixed):
            assert [hit.node_id for hit in hits[2:]] == ["a", "b"][: top_n - 2]
            assert [hit.score for hit in hits[2:]] == [None, None][: top_n - 2]
            assert {hit.node_id for hit in hits[:2]} == {node.node_id for node in nodes[:2]}


async def test_what_cannot_be_scored_is_an_error(
    nodes: list[BaseNode], encoder: MultiVectorEncoder, page_store: PageStore
) -> None:
    rerank = LateInteractionRerank(encoder=encoder)
    page_store.path(nodes[1].metadata["page_ref"]).unlink()
    with pytest.raises(PageReferenceError):
        rerank.postprocess_nodes(scored(nodes), query_str=QUERY)
    with pytest.raises(PageReferenceError):
        await rerank.apostprocess_nodes(scored(nodes), query_str=QUERY)
    for bare in (ImageNode(), ImageNode(image_url="https://example.org/a.png")):
        with pytest.raises(OptionError):
            rerank.postprocess_nodes(scored([bare]), query_str=QUERY)
    with pytest.raises(OptionError, match="query"):
        rerank.postprocess_nodes(scored(nodes))
    with pytest.raises(OptionError, match="query"):
        await rerank.apostprocess_nodes(scored(nodes))


async def test_no_nodes_need_no_model() -> None:
    rerank = LateInteractionRerank(model_name="/no/such/model")
    assert await reranked(rerank, []) == [[], []]


def test_options_outside_what_is_allowed_are_refused(
    retriever: LateInteractionRetriever,
    encoder: MultiVectorEncoder,
    nodes: list[BaseNode],
    colqwen2: Path,
) -> None:
    refused: list[dict[str, Any]] = [
        {"top_n": 0},
        {"top_m": 3},
        {"index": 3},
        {"encoder": "colqwen2"},
        {"encoder": encoder, "model_name": "nano"},
    ]
    for options in refused:
        with pytest.raises((ValidationError, OptionError)):
            LateInteractionRerank(**options)
    other = LateInteractionRerank(
        index=retriever.searcher.index, model_name=str(colqwen2), max_visual_tokens=32, device="cpu"
    )
    with pytest.raises(IndexMismatchError):
        other.postprocess_nodes(scored(nodes), query_str=QUERY)


async def test_the_model_is_loaded_by_name_and_copies_give_the_same(
    nodes: list[BaseNode], colqwen2: Path, encoder: MultiVectorEncoder
) -> None:
    named = LateInteractionRerank(
        model_name=str(colqwen2),
        device="cpu",
        max_visual_tokens=BUDGET,
        top_n=3,
        token=SecretStr("hf_secret"),
    )
    image = QueryBundle("", image_path=nodes[2].metadata["page_ref"])
    expected = LateInteractionRerank(encoder=encoder, top_n=3).postprocess_nodes(
        scored(nodes), image
    )
    for rerank in (
        named,
        copy.deepcopy(named),
        pickle.loads(pickle.dumps(named)),
        LateInteractionRerank.from_dict(named.to_dict()),
    ):
        for hits in await reranked(rerank, scored(nodes), image):
            assert [hit.node_id for hit in hits] == [hit.node_id for hit in expected]
    assert "hf_secret" not in str(named.to_dict()) + repr(named)
    assert b"hf_secret" not in pickle.dumps(named)


def test_a_reranker_over_a_server_with_a_key_is_not_pickled_without_its_index() -> None:
    server = QdrantServer(collection="pages", url="http://localhost:6333", api_key="key")
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(LateInteractionRerank(index=server))


def test_an_index_in_a_folder_is_opened_on_first_use_and_survives_copies(
    in_folder: LateInteractionRetriever,
    encoder: MultiVectorEncoder,
    nodes: list[BaseNode],
    multi_encoded: Encoded,
) -> None:
    folder = in_folder.searcher.index.path
    in_folder.close()
    rerank = LateInteractionRerank(index=folder, encoder=encoder, top_n=3)
    copied = copy.deepcopy(rerank)
    expected = rerank.postprocess_nodes(scored(nodes), query_str=QUERY)
    assert copied.postprocess_nodes(scored(nodes), query_str=QUERY) == expected
    pickled = pickle.dumps(rerank)
    rerank.close()
    revived = pickle.loads(pickled)
    assert revived.postprocess_nodes(scored(nodes), query_str=QUERY) == expected
    revived.close()
    assert multi_encoded.pages == []


async def test_observers_see_both_ends_of_a_call(
    nodes: list[BaseNode], encoder: MultiVectorEncoder, observed: Observed
) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    rerank = LateInteractionRerank(
        encoder=encoder, top_n=2, callback_manager=CallbackManager([debug])
    )
    await reranked(rerank, scored(nodes))
    starts = [event for event in observed.events if isinstance(event, ReRankStartEvent)]
    ends = [event for event in observed.events if isinstance(event, ReRankEndEvent)]
    assert [(len(e.nodes), e.top_n, e.model_name) for e in starts] == [(3, 2, encoder.name)] * 2
    assert [len(event.nodes) for event in ends] == [2, 2]
    pairs: list[Any] = debug.get_event_pairs(CBEventType.RERANKING)
    assert [len(end.payload[EventPayload.NODES]) for _, end in pairs] == [2, 2]
    assert pairs[0][0].payload[EventPayload.QUERY_STR] == QUERY
