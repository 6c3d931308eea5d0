"""Questions whose words count beside their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from vdr_integrations import PageSearcher, langchain, llama_index
from vdr_integrations.agents import ViewLimits
from vdr_integrations.agents.page_service import PageService
from vdr_integrations.errors import OptionError
from vdr_integrations.index import Hybrid, HybridQuery
from vdr_integrations.retrieval import Question

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.encoders import MultiVectorEncoder
    from vdr_integrations.index import LateInteractionIndex
    from vdr_integrations.pages import PageStore
    from vdr_integrations.types import Hit

QUESTION = "the outlook"
WORDS_ALONE = Hybrid(text_weight=1000.0)


def found(hits: list[Hit]) -> list[tuple[str, int, float]]:
    return [(hit.source, hit.page_number, hit.score) for hit in hits]


@pytest.mark.parametrize("kind", ["late", "dense"])
async def test_all_ways_to_ask_give_the_same_hits(
    kind: str, late_folder: Path, dense_folder: Path, page_store: PageStore
) -> None:
    searcher = PageSearcher(late_folder if kind == "late" else dense_folder)
    hits = searcher.search(QUESTION, hybrid=True)
    assert {hit.score_kind for hit in hits} == {"hybrid"}
    assert hits[0].text.strip() == "Outlook is calm"
    assert found(hits) != found(searcher.search(QUESTION))
    assert found(searcher.search(QUESTION, hybrid=Hybrid())) == found(hits)
    assert await searcher.asearch(QUESTION, hybrid=True) == hits
    (many,) = searcher.search_many([QUESTION], hybrid=True)
    assert found(many) == found(hits)
    assert searcher.search(QUESTION, hybrid=False) == searcher.search(QUESTION)
    (first,) = searcher.search("pancakes", k=1, hybrid=WORDS_ALONE)
    assert first.text.strip() == "Pancakes"


def test_the_words_of_several_texts_count_together(
    late_index: LateInteractionIndex, late: MultiVectorEncoder, page_store: PageStore
) -> None:
    searcher = PageSearcher(late_index, encoder=late)
    hits = searcher.search(["pancakes", "revenue"], k=5, hybrid=WORDS_ALONE)
    assert {hit.text.strip() for hit in hits[:2]} == {"Pancakes", "Revenue grew"}
    query = np.concatenate(late.encode_queries(["pancakes", "revenue"]))
    wanted = late_index.search(query, k=5, hybrid=HybridQuery("pancakes revenue", WORDS_ALONE))
    assert found(hits) == found(wanted)


@pytest.mark.parametrize("kind", ["late", "dense"])
def test_questions_without_words_are_searched_by_pictures(
    kind: str, late_folder: Path, dense_folder: Path, page_store: PageStore
) -> None:
    searcher = PageSearcher(late_folder if kind == "late" else dense_folder)
    image = Image.new("RGB", (200, 280), "white")
    hits = searcher.search_image(image, hybrid=True)
    assert hits == searcher.search_image(image)
    assert {hit.score_kind for hit in hits} == {"maxsim" if kind == "late" else "cosine"}


def test_vectors_are_searched_by_pictures(
    late_index: LateInteractionIndex, late: MultiVectorEncoder, page_store: PageStore
) -> None:
    searcher = PageSearcher(late_index, encoder=late)
    (query,) = late.encode_queries([QUESTION])
    question = Question(vectors=query)
    assert searcher.search(question, hybrid=True) == searcher.search(question)


@pytest.mark.parametrize("hybrid", ["yes", 1, None, HybridQuery("outlook")])
def test_what_is_no_hybrid_is_refused(
    hybrid: Any, late_folder: Path, page_store: PageStore
) -> None:
    says = "hybrid must be True, False or a Hybrid with weights"
    with pytest.raises(OptionError, match=says):
        PageSearcher(late_folder).search(QUESTION, hybrid=hybrid)
    with pytest.raises(OptionError, match=says):
        llama_index.LateInteractionRetriever(late_folder, hybrid=hybrid)


@pytest.mark.parametrize("hybrid", [True, WORDS_ALONE])
async def test_retrievers_and_agents_find_what_a_searcher_finds(
    hybrid: bool | Hybrid,  # noqa: FBT001
    late_folder: Path,
    late: MultiVectorEncoder,
    page_store: PageStore,
) -> None:
    hits = PageSearcher(late_folder, encoder=late).search(QUESTION, hybrid=hybrid)
    wanted = [(hit.page_id, hit.score) for hit in hits]

    nodes = llama_index.LateInteractionRetriever(late_folder, encoder=late, hybrid=hybrid)
    for result in (nodes.retrieve(QUESTION), await nodes.aretrieve(QUESTION)):
        assert [(one.node.node_id, one.score) for one in result] == wanted

    documents = langchain.LateInteractionRetriever(
        index=late_folder, encoder=late, hybrid=hybrid, with_scores=True
    )
    plain = langchain.LateInteractionRetriever(index=late_folder, encoder=late, with_scores=True)
    for result in (
        documents.invoke(QUESTION),
        await documents.ainvoke(QUESTION),
        plain.invoke(QUESTION, hybrid=hybrid),
    ):
        assert [(one.id, one.metadata["relevance_score"]) for one in result] == wanted
    vectors_alone = [one.id for one in plain.invoke(QUESTION)]
    assert [one.id for one in documents.invoke(QUESTION, hybrid=False)] == vectors_alone

    searcher = PageSearcher(late_folder, encoder=late)
    reply = PageService(searcher, limits=ViewLimits(), hybrid=hybrid).search(QUESTION, k=2)
    assert f"score {hits[0].score:.4f}" in str(reply)
    first_tool = llama_index.VisualDocumentSearchTool(nodes)
    assert f"score {hits[0].score:.4f}" in str(first_tool.call(question=QUESTION, k=1).blocks)
    second_tool = langchain.VisualDocumentSearchTool(retriever=documents)
    assert f"score {hits[0].score:.4f}" in str(second_tool.invoke({"question": QUESTION, "k": 1}))
