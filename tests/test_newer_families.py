"""Checkpoints of newer families under their hub names, from files to found pages, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import VectorStoreIndex
from tests.encoders.checkpoints.test_family_layouts import write_adapter, write_base
from tests.hub_cache import cached_repository
from tests.tiny_families import write_tiny_qwen2_5_vl, write_tiny_qwen3_vl, write_tiny_tomoro
from typer.testing import CliRunner

from vdr_integrations import DenseEncoder, MultiVectorEncoder, PageSearcher, open_pdf
from vdr_integrations.cli.app import app
from vdr_integrations.errors import IndexMismatchError
from vdr_integrations.index import LateInteractionIndex
from vdr_integrations.langchain import LateInteractionRetriever as LangChainRetriever
from vdr_integrations.langchain import PDFPageLoader, VDREmbeddings
from vdr_integrations.llama_index import (
    LateInteractionRetriever,
    PDFPageNodeParser,
    PDFPageReader,
    VDREmbedding,
)

if TYPE_CHECKING:
    from vdr_integrations import PageStore

REPORT = Path(__file__).resolve().parent.parent / "demo" / "documents" / "utility-report.de.pdf"
QUESTION = "Wie viel Nitrat enthält das Trinkwasser?"
DENSE = "Qwen/Qwen3-VL-Embedding-2B"
LATE = "vidore/colqwen2.5-v0.2"
TOMORO = "TomoroAI/tomoro-colqwen3-embed-4b"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A hub's cache with tiny random weights in the published layouts."""
    made, hub = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("hub")
    qwen3 = write_tiny_qwen3_vl(made / "qwen3")
    cached_repository(hub, DENSE, qwen3, commit="1" * 40)
    base = made / "base"
    write_base(base, write_tiny_qwen2_5_vl(made / "qwen2.5"))
    cached_repository(hub, "vidore/colqwen2.5-base", base, commit="2" * 40)
    write_adapter(made / "adapter", base, named="vidore/colqwen2.5-base")
    cached_repository(hub, LATE, made / "adapter", commit="3" * 40)
    return str(hub)


def test_dense_pages_of_qwen3_are_found_in_llama_index(cache: str, page_store: PageStore) -> None:
    embedding = VDREmbedding(model_name=DENSE, cache_dir=cache, device="cpu")
    documents = PDFPageReader(token_side_px=32).load_data(REPORT)
    index = VectorStoreIndex.from_documents(
        documents, transformations=[PDFPageNodeParser()], embed_model=embedding
    )
    hits = index.as_retriever(similarity_top_k=2).retrieve(QUESTION)
    encoder = DenseEncoder.load(DENSE, cache_dir=cache, device="cpu")
    with open_pdf(REPORT) as pdf:
        scores = encoder.encode_queries([QUESTION])[0] @ encoder.encode_pages(pdf).T
    best = [int(n) + 1 for n in scores.argsort()[::-1][:2]]
    assert [hit.metadata["page_number"] for hit in hits] == best
    assert [hit.score for hit in hits] == pytest.approx(sorted(scores)[::-1][:2], abs=1e-5)


def test_dense_pages_of_qwen3_are_found_in_langchain(cache: str, page_store: PageStore) -> None:
    embeddings = VDREmbeddings(model=DENSE, cache_dir=cache, device="cpu", dimension=32)
    store = InMemoryVectorStore(embeddings)
    store.add_documents(PDFPageLoader(REPORT, token_side_px=32).load())
    (hit,) = store.as_retriever(search_kwargs={"k": 1}).invoke(QUESTION)
    encoder = DenseEncoder.load(DENSE, cache_dir=cache, device="cpu", dimension=32)
    with open_pdf(REPORT) as pdf:
        scores = encoder.encode_queries([QUESTION])[0] @ encoder.encode_pages(pdf).T
    assert hit.metadata["page_number"] == int(scores.argmax()) + 1


def test_late_interaction_of_colqwen2_5_is_searched_in_both_frameworks(
    cache: str, page_store: PageStore, tmp_path: Path
) -> None:
    place = tmp_path / "ix"
    made = LateInteractionRetriever.from_documents(
        PDFPageReader().load_data(REPORT),
        index=place,
        model_name=LATE,
        cache_dir=cache,
        device="cpu",
    )
    found = [node.metadata["page_number"] for node in made.retrieve(QUESTION)]
    again = LangChainRetriever(index=place, model=LATE, cache_dir=cache, device="cpu", k=len(found))
    assert [page.metadata["page_number"] for page in again.invoke(QUESTION)] == found
    with LateInteractionIndex.open(place) as index:
        assert index.manifest.pixel_budget.factor == 28


def test_an_index_of_qwen3_draws_its_pages_in_tokens_of_32_pixels(
    cache: str, page_store: PageStore, tmp_path: Path
) -> None:
    folder = tmp_path / "tomoro-colqwen3-embed-4b"
    write_tiny_tomoro(folder)
    place = tmp_path / "ix"
    arguments = ["--model", str(folder), "--late-interaction"]
    ran = CliRunner().invoke(app, ["index", str(REPORT), "--index", str(place), *arguments])
    assert ran.exit_code == 0, ran.output
    with LateInteractionIndex.open(place) as index:
        budget = index.manifest.pixel_budget
        assert (budget.factor, budget.min_visual_tokens) == (32, 4)
    encoder = MultiVectorEncoder.load(str(folder), device="cpu")
    with PageSearcher(place, encoder=encoder) as searcher:
        (best,) = searcher.search(QUESTION, k=1)
        image = searcher.pictures.indexed(best).image
        assert (image.width % 32, image.height % 32) == (0, 0)
        grids = searcher.grids(QUESTION, best).grids
        assert grids.shape[1:] == (image.height // 32, image.width // 32)
        with pytest.raises(IndexMismatchError):
            PageSearcher(place, encoder=MultiVectorEncoder.load("nano-colqwen2")).search(QUESTION)
    picture = tmp_path / "heat.png"
    asked = ["heatmap", QUESTION, "--index", str(place), "--out", str(picture)]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0, shown.output
    assert picture.stat().st_size > 10_000


def test_two_models_with_other_visual_tokens_are_refused_with_both_sides(tmp_path: Path) -> None:
    folder = tmp_path / "tomoro-colqwen3-embed-4b"
    write_tiny_tomoro(folder)
    place = ["--index", str(tmp_path / "ix")]
    arguments = ["--model", str(folder), "--late-interaction", "--recall", "nano"]
    ran = CliRunner().invoke(app, ["index", str(REPORT), *place, *arguments])
    assert ran.exit_code == 1
    said = "768 visual tokens of 32 px per page, and 768 of 28 px for dense vectors"
    assert said in " ".join(ran.output.split())
