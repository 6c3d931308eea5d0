"""Retrieving pages by texts, images and vectors."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.instrumentation.events.retrieval import (
    RetrievalEndEvent,
    RetrievalStartEvent,
)
from llama_index.core.schema import ImageNode, MetadataMode, NodeWithScore, QueryBundle
from PIL import Image
from tests.half_pairs import HALF_PAIRS, REFUSED

from vdr_integrations import MultiVectorEncoder, PageStore, load_encoder
from vdr_integrations.errors import (
    ImageDecodeError,
    IndexMismatchError,
    IndexNotFoundError,
    InvalidVectorError,
    OptionError,
    PageReferenceError,
)
from vdr_integrations.index import LateInteractionIndex, QdrantServer, maxsim_score
from vdr_integrations.index.engine import Engine
from vdr_integrations.llama_index import LateInteractionRerank, LateInteractionRetriever
from vdr_integrations.llama_index.retrieval.page_of_node import hit_node
from vdr_integrations.retrieval.open_indexes import SharedIndex
from vdr_integrations.types import Hit

if TYPE_CHECKING:
    from pathlib import Path

    from llama_index.core.schema import BaseNode
    from tests.llama_index.conftest import Observed

pytestmark = pytest.mark.usefixtures("seen_pages")

QUERY = "How did revenue change?"


def ids(hits: list[NodeWithScore]) -> list[str]:
    return [hit.node_id for hit in hits]


async def retrieved(
    retriever: LateInteractionRetriever, query: str | QueryBundle
) -> list[list[NodeWithScore]]:
    """By both ways."""
    return [retriever.retrieve(query), await retriever.aretrieve(query)]


def page_refs(nodes: list[BaseNode]) -> list[str]:
    return [node.metadata["page_ref"] for node in nodes]


async def test_scores_are_exact_maxsim_of_query_and_page_best_first(
    retriever: LateInteractionRetriever, encoder: MultiVectorEncoder, page_store: PageStore
) -> None:
    (query,) = encoder.encode_queries([QUERY])
    for hits in await retrieved(retriever, QUERY):
        assert len(hits) == 3
        assert [hit.score for hit in hits] == sorted(
            (hit.get_score() for hit in hits), reverse=True
        )
        for hit in hits:
            (page,) = encoder.encode_pages([page_store.get(hit.metadata["page_ref"])])
            stored = page.astype(np.float16).astype(np.float32)
            assert hit.score == pytest.approx(maxsim_score(query, stored), abs=2e-5)


async def test_a_hit_is_the_node_that_the_node_parser_makes_of_the_page(
    retriever: LateInteractionRetriever, nodes: list[BaseNode]
) -> None:
    by_page = {node.metadata["page_number"]: node for node in nodes}
    for hits in await retrieved(retriever, QUERY):
        assert len({hit.node_id for hit in hits}) == 3
        for hit in hits:
            node, made = hit.node, by_page[hit.metadata["page_number"]]
            assert isinstance(node, ImageNode)
            assert isinstance(made, ImageNode)
            assert (node.hash, node.text, node.image_path) == (
                made.hash,
                made.text,
                made.image_path,
            )
            assert node.ref_doc_id == made.ref_doc_id
            assert {**node.metadata, "source": None} == {**made.metadata, "source": None}
            assert node.metadata["source"] == made.metadata["file_path"]
            for mode in MetadataMode:
                if mode is not MetadataMode.ALL:  # which shows the source, too
                    assert node.get_content(mode) == made.get_content(mode)


async def test_an_image_finds_its_page_in_whatever_form_it_comes(
    retriever: LateInteractionRetriever, nodes: list[BaseNode], page_store: PageStore
) -> None:
    ref = page_refs(nodes)[1]
    path = page_store.path(ref)
    expected = ids(retriever.retrieve(QueryBundle("", image_path=ref)))
    for hits in await retrieved(retriever, QueryBundle("", image_path=str(path))):
        assert hits[0].metadata["page_ref"] == ref
        assert ids(hits) == expected
    with Image.open(path) as picture:
        forms: list[Any] = [picture.copy(), path, path.read_bytes(), page_store.get(ref), ref]
    for form in forms:
        assert ids(retriever.search_image(form)) == expected
        assert ids(await retriever.asearch_image(form)) == expected


async def test_token_vectors_find_what_their_text_finds(
    retriever: LateInteractionRetriever, encoder: MultiVectorEncoder
) -> None:
    (query,) = encoder.encode_queries([QUERY])
    by_text = retriever.retrieve(QUERY)
    for hits in (retriever.search_vectors(query), await retriever.asearch_vectors(query)):
        assert [(h.node_id, h.score) for h in hits] == [(h.node_id, h.score) for h in by_text]
    with pytest.raises(InvalidVectorError):
        retriever.search_vectors(2 * query)


async def test_the_scores_of_several_texts_are_added(retriever: LateInteractionRetriever) -> None:
    texts = ["revenue", "costs of the year"]
    single = [{h.node_id: h.get_score() for h in retriever.retrieve(text)} for text in texts]
    bundle = QueryBundle("ignored", custom_embedding_strs=texts)
    for hits in await retrieved(retriever, bundle):
        assert len(hits) == 3
        for hit in hits:
            assert hit.score == pytest.approx(sum(one[hit.node_id] for one in single), abs=1e-3)


async def test_a_bundle_stays_as_it_is_and_its_vector_is_not_used(
    retriever: LateInteractionRetriever,
) -> None:
    expected = ids(retriever.retrieve(QUERY))
    for embedding in (None, [1.0, 2.0]):
        bundle = QueryBundle(QUERY, embedding=embedding)
        before = copy.deepcopy(bundle)
        for hits in await retrieved(retriever, bundle):
            assert ids(hits) == expected
        assert bundle == before


async def test_an_image_path_comes_before_the_text_beside_it(
    retriever: LateInteractionRetriever, nodes: list[BaseNode]
) -> None:
    ref = page_refs(nodes)[2]
    alone = retriever.retrieve(QueryBundle("", image_path=ref))
    for hits in await retrieved(retriever, QueryBundle(QUERY, image_path=ref)):
        assert [(h.node_id, h.score) for h in hits] == [(h.node_id, h.score) for h in alone]


@pytest.mark.parametrize(
    ("bundle", "error"),
    [
        (QueryBundle(""), OptionError),
        (QueryBundle("  "), OptionError),
        (QueryBundle("", embedding=[1.0]), OptionError),
        (QueryBundle("", image_path="https://example.org/a.png"), ImageDecodeError),
        (QueryBundle("", image_path="vdr-page:" + "0" * 64), PageReferenceError),
    ],
    ids=["empty", "blank", "vector", "url", "unknown page"],
)
async def test_a_query_that_asks_nothing_or_cannot_be_opened_is_refused(
    retriever: LateInteractionRetriever, bundle: QueryBundle, error: type[Exception]
) -> None:
    with pytest.raises(error):
        retriever.retrieve(bundle)
    with pytest.raises(error):
        await retriever.aretrieve(bundle)


async def test_many_async_queries_get_the_answers_of_serial_ones(
    retriever: LateInteractionRetriever,
) -> None:
    queries = [f"question number {n}" for n in range(12)]
    serial = [[(h.node_id, h.score) for h in retriever.retrieve(query)] for query in queries]
    together = await asyncio.gather(*(retriever.aretrieve(query) for query in queries))
    for hits, expected in zip(together, serial, strict=True):
        assert [hit.node_id for hit in hits] == [node_id for node_id, _ in expected]
        np.testing.assert_allclose(
            [hit.get_score() for hit in hits], [score or 0 for _, score in expected], atol=1e-3
        )


async def test_async_queries_leave_the_event_loop_to_others(
    retriever: LateInteractionRetriever,
    encoder: MultiVectorEncoder,
    nodes: list[BaseNode],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: dict[str, int] = {}

    def noted(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def call(*args: Any, **options: Any) -> Any:
            threads[name] = threading.get_ident()
            return original(*args, **options)

        monkeypatch.setattr(owner, name, call)

    index = retriever.searcher.index
    for method in ("search", "pages"):
        noted(Engine, method)
    noted(PageStore, "get")
    noted(PageStore, "__contains__")
    for method in ("encode_queries", "encode_pages"):  # the blocking twins
        monkeypatch.delattr(MultiVectorEncoder, method)
    hits = await retriever.aretrieve(QueryBundle("", image_path=page_refs(nodes)[0]))
    assert len(await retriever.aretrieve(QUERY)) == len(hits) == 3
    rerank = LateInteractionRerank(index=index, encoder=encoder, top_n=1)
    stranger = ImageNode(image_path=str(hits[0].node.image_path))  # pyright: ignore[reportAttributeAccessIssue]
    mixed = [*hits, NodeWithScore(node=stranger)]
    assert len(await rerank.apostprocess_nodes(mixed, query_str=QUERY)) == 1
    assert {"search", "pages"} <= set(threads)
    assert threading.get_ident() not in threads.values()


def test_the_options_of_a_search_are_passed_on(
    retriever: LateInteractionRetriever, encoder: MultiVectorEncoder
) -> None:
    everything = retriever.retrieve(QUERY)
    index = retriever.searcher.index
    options: list[dict[str, Any]] = [{"exhaustive": True}, {"candidates": 2}]
    for given in options:
        other = LateInteractionRetriever(index, encoder=encoder, similarity_top_k=2, **given)
        assert ids(other.retrieve(QUERY)) == ids(everything)[:2]


@pytest.mark.parametrize(
    "options",
    [
        {"similarity_top_k": 0},
        {"candidates": 1},
        {"exhaustive": True, "candidates": 9},
        {"model_name": "nano", "encoder": "ours"},
        {"encoder": "dense"},
        {"index": 3},
        {"index": "http://localhost:6333"},
    ],
    ids=str,
)
def test_options_outside_what_is_allowed_are_refused(
    encoder: MultiVectorEncoder, tmp_path: Path, options: dict[str, Any]
) -> None:
    given: dict[str, Any] = {"index": tmp_path, **options}
    if given.get("encoder") == "ours":
        given["encoder"] = encoder
    with pytest.raises(OptionError):
        LateInteractionRetriever(**given)


def test_a_server_may_be_named_by_a_url() -> None:
    assert SharedIndex("https://example.org:6333/pages").location == QdrantServer(
        collection="pages", url="https://example.org:6333"
    )


def test_the_model_of_the_index_is_loaded_when_none_is_named(
    nodes: list[BaseNode], colqwen2: Path, tmp_path: Path
) -> None:
    index = tmp_path / "own"
    with LateInteractionRetriever.from_documents(
        nodes, index=index, model_name=str(colqwen2), max_visual_tokens=64, device="cpu"
    ) as made:
        expected = [(hit.node_id, hit.score) for hit in made.retrieve(QUERY)]
    with LateInteractionRetriever(index, device="cpu") as retriever:
        assert [(hit.node_id, hit.score) for hit in retriever.retrieve(QUERY)] == expected
        assert len(expected) == 3


async def test_an_encoder_that_did_not_make_the_index_is_refused(
    retriever: LateInteractionRetriever, colqwen2: Path, nodes: list[BaseNode]
) -> None:
    index = retriever.searcher.index
    other = LateInteractionRetriever(
        index, model_name=str(colqwen2), max_visual_tokens=32, device="cpu"
    )
    with pytest.raises(IndexMismatchError):
        other.retrieve(QUERY)
    with pytest.raises(IndexMismatchError):
        await other.aretrieve(QUERY)
    with pytest.raises(IndexMismatchError):
        other.add_nodes(nodes)


async def test_a_folder_without_index_is_an_error_of_the_first_query(
    encoder: MultiVectorEncoder, tmp_path: Path
) -> None:
    retriever = LateInteractionRetriever(str(tmp_path / "none"), encoder=encoder)
    with pytest.raises(IndexNotFoundError):
        retriever.retrieve(QUERY)
    with pytest.raises(IndexNotFoundError):
        await retriever.aretrieve(QUERY)


def test_a_dense_model_is_refused_where_a_multi_vector_one_is_needed(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    dense = load_encoder(str(tiny_checkpoint), device="cpu")
    with pytest.raises(OptionError, match="one vector per token"):
        LateInteractionRetriever(tmp_path, encoder=dense)  # pyright: ignore[reportArgumentType]


def test_copies_share_the_index_and_pickles_open_it_again(
    in_folder: LateInteractionRetriever,
) -> None:
    retriever = in_folder
    expected = ids(retriever.retrieve(QUERY))
    assert ids(copy.deepcopy(retriever).retrieve(QUERY)) == expected
    assert ids(copy.copy(retriever).retrieve(QUERY)) == expected
    pickled = pickle.dumps(retriever)
    retriever.close()
    with pickle.loads(pickled) as revived:
        assert ids(revived.retrieve(QUERY)) == expected
        assert revived.similarity_top_k == 3
    assert ids(retriever.retrieve(QUERY)) == expected


def test_tokens_and_keys_are_never_pickled(tmp_path: Path) -> None:
    retriever = LateInteractionRetriever(tmp_path, model_name="a/b", token="hf_secret")
    assert b"hf_secret" not in pickle.dumps(retriever)
    server = QdrantServer(collection="pages", url="http://localhost:6333", api_key="key")
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(LateInteractionRetriever(server))


async def test_a_folder_gives_the_hits_of_a_server(
    retriever: LateInteractionRetriever, in_folder: LateInteractionRetriever
) -> None:
    expected = [(hit.node_id, hit.score) for hit in retriever.retrieve(QUERY)]
    assert len(expected) == 3
    for hits in await retrieved(in_folder, QUERY):
        assert [(hit.node_id, hit.score) for hit in hits] == expected


def test_an_open_index_of_a_server_is_not_pickled(retriever: LateInteractionRetriever) -> None:
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(LateInteractionRetriever(retriever.searcher.index))


async def test_observers_see_the_query_and_the_nodes_and_no_pixels(
    retriever: LateInteractionRetriever,
    observed: Observed,
    nodes: list[BaseNode],
    page_store: PageStore,
) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    retriever.callback_manager = CallbackManager([debug])
    path = page_store.path(page_refs(nodes)[0])
    _ = retriever.retrieve(QUERY), await retriever.aretrieve(QUERY)
    _ = retriever.search_image(path), await retriever.asearch_image(path)
    starts = [event for event in observed.events if isinstance(event, RetrievalStartEvent)]
    ends = [event for event in observed.events if isinstance(event, RetrievalEndEvent)]
    assert [len(event.nodes) for event in ends] == [3, 3, 3, 3]
    assert [event.str_or_query_bundle for event in starts[:2]] == [QUERY, QUERY]
    for event in starts[2:]:
        assert isinstance(event.str_or_query_bundle, QueryBundle)
        assert event.str_or_query_bundle.image_path == str(path)
    for event in (*starts, *ends):
        assert len(event.model_dump_json()) < 20_000
    assert len(debug.get_event_pairs(CBEventType.RETRIEVE)) == 4


def test_an_open_index_is_left_open(
    encoder: MultiVectorEncoder, in_folder: LateInteractionRetriever
) -> None:
    index = in_folder.searcher.index
    with LateInteractionRetriever(index, encoder=encoder) as other:
        assert len(other.retrieve(QUERY)) == 3
    assert isinstance(index, LateInteractionIndex)
    assert index.count_pages() == 3


@pytest.mark.parametrize("text", HALF_PAIRS.values(), ids=HALF_PAIRS)
async def test_half_a_surrogate_pair_is_refused(
    retriever: LateInteractionRetriever, encoder: MultiVectorEncoder, text: str
) -> None:
    hits = retriever.retrieve(QUERY)
    rerank = LateInteractionRerank(encoder=encoder, top_n=1)
    for ask in (
        lambda: retriever.retrieve(text),
        lambda: retriever.retrieve(QueryBundle(QUERY, custom_embedding_strs=["costs", text])),
        lambda: retriever.similarity_grids(text, hits[0].node),
        lambda: retriever.heatmap(text, hits[0].node),
        lambda: rerank.postprocess_nodes(hits, query_str=text),
    ):
        with pytest.raises(OptionError, match=REFUSED):
            ask()
    for asked in (
        retriever.aretrieve(text),
        rerank.apostprocess_nodes(hits, query_bundle=QueryBundle(text)),
    ):
        with pytest.raises(OptionError, match=REFUSED):
            await asked
    assert len(retriever.retrieve("\N{GRINNING FACE}")) == len(hits)


def test_metadata_that_name_another_document_do_not_replace_that_of_a_hit(
    page_store: PageStore,
) -> None:
    metadata = {"source": "x", "file_path": "y", "page_number": 9, "year": 2024}
    hit = Hit("/a/r.pdf", 2, 1.0, "2", 3, f"vdr-page:{'0' * 64}", metadata=metadata)
    node = hit_node(hit, page_store).node
    assert (node.metadata["source"], node.metadata["file_name"]) == ("/a/r.pdf", "r.pdf")
    assert (node.metadata["page_number"], node.metadata["year"]) == (2, 2024)
