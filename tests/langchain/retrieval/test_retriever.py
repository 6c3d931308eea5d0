from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import (
    RunnableLambda,
)
from pydantic import ValidationError
from tests.half_pairs import HALF_PAIRS, REFUSED
from tests.langchain.retrieval.conftest import QUESTION, numbers

from vdr_integrations.errors import (
    IndexMismatchError,
    OptionError,
)
from vdr_integrations.index import (
    LateInteractionIndex,
    StoredPage,
    maxsim_scores,
)
from vdr_integrations.index.folder.engine import FolderEngine
from vdr_integrations.langchain import (
    LateInteractionCompressor,
    LateInteractionRetriever,
    VDREmbeddings,
    page_texts,
)
from vdr_integrations.pages import PageStore, open_pdf

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_core.documents import Document
    from numpy.typing import NDArray

    from vdr_integrations import DenseEncoder, MultiVectorEncoder


def test_documents_come_best_first_with_their_exact_maxsim_scores(
    retriever: LateInteractionRetriever, encoder: MultiVectorEncoder, docs: Path
) -> None:
    with open_pdf(docs / "report.pdf") as report, open_pdf(docs / "blank.pdf") as blank:
        vectors = encoder.encode_pages([*report, *blank])
    direct = maxsim_scores(encoder.encode_queries([QUESTION])[0], vectors)
    names = [("report.pdf", 1), ("report.pdf", 2), ("report.pdf", 3), ("blank.pdf", 1)]
    found = retriever.invoke(QUESTION, with_scores=True)
    assert numbers(found) == [names[place] for place in np.argsort(-direct)]
    scores = [document.metadata["relevance_score"] for document in found]
    assert scores == pytest.approx(sorted(direct, reverse=True), rel=1e-3)
    assert len(set(scores)) == 4


def test_a_document_says_what_the_page_is_and_what_it_says(
    retriever: LateInteractionRetriever, index: LateInteractionIndex, docs: Path
) -> None:
    by_place = dict(zip(numbers(found := retriever.invoke(QUESTION)), found, strict=True))
    page = by_place["report.pdf", 2]
    [stored] = index.get([str(page.id)])
    assert page.page_content == stored.page_ref
    assert page.metadata == {
        "year": 2023,
        "tags": ["finance"],
        "source": (docs / "report.pdf").as_posix(),
        "file_name": "report.pdf",
        "page": 1,
        "page_number": 2,
        "page_label": "2",
        "total_pages": 3,
        "page_ref": stored.page_ref,
        "page_id": page.id,
        "citation": "report.pdf, page 2 of 3",
        "page_text": "Costs fell\n",
        "page_warnings": "",
    }
    scan = by_place["blank.pdf", 1]
    assert [text.page_content for text in page_texts([page, scan])] == [
        "report.pdf, page 2 of 3\n\nCosts fell",
        "blank.pdf, page 1 of 1",
    ]


async def test_async_gives_the_same_and_leaves_the_loop_free(
    retriever: LateInteractionRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = retriever.invoke(QUESTION)
    threads: list[int] = []
    search = FolderEngine.search

    def noted(*args: Any, **options: Any) -> Any:
        threads.append(threading.get_ident())
        return search(*args, **options)

    monkeypatch.setattr(FolderEngine, "search", noted)
    found = await asyncio.gather(*(retriever.ainvoke(QUESTION) for _ in range(3)))
    assert found == [expected] * 3
    assert len(threads) == 3
    assert threading.get_ident() not in threads


def test_options_of_a_call_take_the_place_of_the_retrievers(
    retriever: LateInteractionRetriever, docs: Path
) -> None:
    retriever = retriever.model_copy(update={"k": 2, "filter": {"metadata": {"year": 2023}}})
    assert len(retriever.invoke(QUESTION)) == 2
    assert {name for name, _ in numbers(retriever.invoke(QUESTION, k=4))} == {"report.pdf"}
    assert len(retriever.invoke(QUESTION, k=4, filter={})) == 4
    only = {"source": (docs / "report.pdf").as_posix(), "page_number": [2, 3]}
    assert sorted(numbers(retriever.invoke(QUESTION, filter=only))) == [
        ("report.pdf", 2),
        ("report.pdf", 3),
    ]
    whole = retriever.invoke(QUESTION, exhaustive=True)
    assert whole == retriever.invoke(QUESTION, candidates=2)


def test_unknown_options_and_impossible_ones_are_refused(
    retriever: LateInteractionRetriever,
) -> None:
    with pytest.raises(TypeError, match="top_k"):
        retriever.invoke(QUESTION, top_k=3)
    impossible: list[dict[str, Any]] = [
        {"k": 0},
        {"candidates": 1},
        {"exhaustive": True, "candidates": 10},
        {"filter": {"anything": 1}},
    ]
    for options in impossible:
        with pytest.raises(OptionError):
            retriever.invoke(QUESTION, **options)
    given: dict[str, Any] = {"index": retriever.index, "encoder": retriever.encoder}
    wrong: list[dict[str, Any]] = [
        {"top_k": 3},
        {"k": 0},
        {"filter": {"anything": 1}},
        {"exhaustive": True, "candidates": 10},
        {"model": "vidore/colqwen2-v1.0"},
        {"encoder": "vidore/colqwen2-v1.0"},
        {"recall": "llamaindex/vdr-2b-multi-v1"},
    ]
    for options in wrong:
        with pytest.raises(ValidationError):
            LateInteractionRetriever(**{**given, **options})


async def test_dense_vectors_recall_and_maxsim_ranks(
    dense_index: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    dense_encoder: DenseEncoder,
    tiny_checkpoint: Path,
    page_store: PageStore,
) -> None:
    whole = LateInteractionRetriever(index=dense_index, encoder=encoder, k=12).invoke(QUESTION)
    query = dense_encoder.encode_queries([QUESTION])[0]
    pages = dense_index.get(dense_index.page_ids(), with_vectors=True)
    similarities = {page.page_id: similarity(page, query) for page in pages}
    nearest = sorted(similarities, key=lambda page_id: -similarities[page_id])[:6]
    expected = [page for page in whole if page.id in nearest][:2]
    assert expected != whole[:2]
    embeddings = VDREmbeddings(model=str(tiny_checkpoint), device="cpu", max_visual_tokens=64)
    for recall in (dense_encoder, embeddings):
        late = LateInteractionRetriever(
            index=dense_index, encoder=encoder, recall=recall, candidates=6, k=2
        )
        assert late.invoke(QUESTION) == expected
        assert await late.ainvoke(QUESTION) == expected
        assert late.invoke(QUESTION, exhaustive=True) == whole[:2]
        last = whole[-1]
        for found in (
            late.search_image(last.metadata["page_ref"]),
            await late.asearch_image(last.metadata["page_ref"]),
        ):
            assert found[0].id == last.id


def similarity(page: StoredPage, query: NDArray[np.float32]) -> float:
    assert page.dense is not None
    return float(page.dense @ query)


def test_recall_needs_the_dense_vectors_of_its_own_model(
    dense_index: LateInteractionIndex,
    index: LateInteractionIndex,
    encoder: MultiVectorEncoder,
    tiny_checkpoint: Path,
) -> None:
    other = VDREmbeddings(
        model=str(tiny_checkpoint), device="cpu", max_visual_tokens=64, dimension=8
    )
    for held, message in ((dense_index, "dimension 8"), (index, "without dense vectors")):
        with pytest.raises(IndexMismatchError, match=message):
            LateInteractionRetriever(index=held, encoder=encoder, recall=other).invoke(QUESTION)


def test_callbacks_and_tags_see_the_pages(retriever: LateInteractionRetriever) -> None:
    class Events(BaseCallbackHandler):
        seen: list[Any]

        def __init__(self) -> None:
            self.seen = []

        def on_retriever_start(self, serialized: Any, query: str, **options: Any) -> None:
            self.seen.append((query, options["tags"]))

        def on_retriever_end(self, documents: Sequence[Document], **options: Any) -> None:
            self.seen.append(documents)

    events = Events()
    tagged = retriever.model_copy(update={"tags": ["pages"]})
    found = tagged.invoke(QUESTION, {"callbacks": [events]})
    assert events.seen == [(QUESTION, ["pages"]), found]


def test_batches_and_chains_run_in_threads(retriever: LateInteractionRetriever) -> None:
    def ids_of(found: list[Document]) -> list[str | None]:
        return [page.id for page in found]

    ids = retriever | RunnableLambda(ids_of)
    alone = [[page.id for page in retriever.invoke(f"{QUESTION} {n}")] for n in range(4)]
    assert ids.batch([f"{QUESTION} {n}" for n in range(4)]) == alone


@pytest.mark.parametrize("text", HALF_PAIRS.values(), ids=HALF_PAIRS)
async def test_half_a_surrogate_pair_is_refused(
    retriever: LateInteractionRetriever, index: LateInteractionIndex, text: str
) -> None:
    found = retriever.invoke(QUESTION)
    compressor = LateInteractionCompressor(index=index, encoder=retriever.encoder)
    for ask in (
        lambda: retriever.invoke(text),
        lambda: retriever.similarity_grids(text, found[0]),
        lambda: retriever.heatmap(text, found[0]),
        lambda: compressor.compress_documents(found, text),
    ):
        with pytest.raises(OptionError, match=REFUSED):
            ask()
    for asked in (retriever.ainvoke(text), compressor.acompress_documents(found, text)):
        with pytest.raises(OptionError, match=REFUSED):
            await asked
    assert len(retriever.invoke("\N{GRINNING FACE}")) == len(found)
