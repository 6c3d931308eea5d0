"""mteb runs our encoders, and finds what our own arithmetic finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mteb
import numpy as np
import pytest
import torch
from mteb.models import EncoderProtocol
from mteb.similarity_functions import max_sim
from tests.mteb.report_pages import (
    LANGUAGES,
    VISUAL_TOKENS,
    ReportPages,
    ReportPagesToRank,
    ReportTexts,
    candidates_of,
    pages_of,
    questions_of,
)

from vdr_integrations import DenseEncoder, MultiVectorEncoder
from vdr_integrations.errors import OptionError
from vdr_integrations.evaluation import MEASURES, measures_of
from vdr_integrations.index import maxsim_scores
from vdr_integrations.mteb import mteb_model

if TYPE_CHECKING:
    from pathlib import Path

    from mteb.results import ModelResult
    from numpy.typing import NDArray


def scores_of(model: str, language: str) -> NDArray[np.float32]:
    """Scores (questions, pages) without mteb."""
    pages = pages_of(language).values()
    questions = [text for text, _ in questions_of(language).values()]
    if model == "vdr-integrations/nano":
        dense = DenseEncoder.load("nano", device="cpu", max_visual_tokens=VISUAL_TOKENS)
        return dense.encode_queries(questions) @ dense.encode_pages(pages).T
    late = MultiVectorEncoder.load("nano-colqwen2", device="cpu", max_visual_tokens=VISUAL_TOKENS)
    matrices = late.encode_pages(pages)
    return np.stack([maxsim_scores(asked, matrices) for asked in late.encode_queries(questions)])


def ndcg_at_5(scores: NDArray[np.float32], pages: list[str], right: str) -> float:
    """NDCG@5 of one question with one right page, as ``vdr eval`` computes it."""
    order = np.argsort(-scores)
    grades = np.array([int(pages[place] == right) for place in order])
    found = measures_of(scores[order], grades, relevant=np.array([1]))
    return float(found[MEASURES.index("ndcg@5")])


def ndcgs(found: ModelResult) -> list[float]:
    """NDCG@5 of each subset."""
    return [one["ndcg_at_5"] for one in found.task_results[0].scores["test"]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_mteb_finds_our_own_figures(
    model: EncoderProtocol, results: mteb.ResultCache, language: str
) -> None:
    (result,) = mteb.evaluate(model, ReportPages(), cache=results).task_results
    (found,) = [one for one in result.scores["test"] if one["hf_subset"] == language]
    pages = list(pages_of(language))
    rows = scores_of(str(model.mteb_model_meta.name), language)
    rights = [page for _, page in questions_of(language).values()]
    ours = [ndcg_at_5(row, pages, right) for row, right in zip(rows, rights, strict=True)]
    assert len(ours) >= 5
    assert found["ndcg_at_5"] == pytest.approx(np.mean(ours), abs=1e-4)


def test_the_two_kinds_of_vectors_give_different_figures(results: mteb.ResultCache) -> None:
    """Else the test above could compare one model with itself."""
    dense, late = (
        mteb.evaluate(
            mteb_model(name, device="cpu", max_visual_tokens=VISUAL_TOKENS),
            ReportPages(),
            cache=results,
        )
        for name in ("nano", "nano-colqwen2")
    )
    assert ndcgs(dense) != ndcgs(late)


def test_candidates_of_a_task_are_ranked_and_no_other_page(
    model: EncoderProtocol, tmp_path: Path
) -> None:
    mteb.evaluate(model, ReportPagesToRank(), cache=None, prediction_folder=tmp_path)
    found = ReportPagesToRank.predictions_in(tmp_path)
    pages = list(pages_of("en"))
    rows = scores_of(str(model.mteb_model_meta.name), "en")
    for (question, ranked), row in zip(candidates_of("en").items(), rows, strict=True):
        assert set(found[question]) == set(ranked)
        ours = [float(row[pages.index(page)]) for page in ranked]
        assert [found[question][page] for page in ranked] == pytest.approx(ours, abs=1e-5)


def test_the_score_of_a_page_does_not_depend_on_the_length_of_another() -> None:
    model = mteb_model("nano-colqwen2", device="cpu")
    query = np.array([[1, 0], [0, 1]], np.float32)
    away = np.array([[-1, 0]], np.float32)
    longer = np.array([[0, 1], [0, -1]], np.float32)
    scores = model.similarity([query], [away, longer])  # pyright: ignore[reportArgumentType]  # a list, as encode returns it
    assert scores.tolist() == [[-1.0, 1.0]]
    # Why mteb's own function is not used: its padding row wins over the similarity of -1.
    padded = max_sim([torch.from_numpy(query)], [torch.from_numpy(one) for one in (away, longer)])
    assert padded.tolist() == [[0.0, 1.0]]


def test_pairs_are_compared_one_by_one(model: EncoderProtocol) -> None:
    encoder: Any = getattr(model, "model")  # noqa: B009  # not in mteb's protocol
    queries = encoder.encode_queries(["librarians", "budget"])
    pages = encoder.encode_pages(list(pages_of("en").values())[:2])
    every, pairs = model.similarity(queries, pages), model.similarity_pairwise(queries, pages)
    assert np.asarray(pairs).tolist() == pytest.approx(np.diagonal(np.asarray(every)), abs=1e-5)


def test_results_of_other_options_are_kept_apart(results: mteb.ResultCache) -> None:
    task = ReportPages()
    full, short = (
        mteb_model("nano", device="cpu", max_visual_tokens=64, dimension=size) for size in (512, 2)
    )
    first = mteb.evaluate(full, task, cache=results)
    other = mteb.evaluate(short, task, cache=results)
    again = mteb.evaluate(full, task, cache=results, overwrite_strategy="only-cache")
    assert ndcgs(first) != ndcgs(other)
    assert ndcgs(first) == ndcgs(again)


def test_a_task_with_texts_as_documents_is_refused_by_name(model: EncoderProtocol) -> None:
    with pytest.raises(OptionError, match=r"documents of ReportTexts are text; nano.*images"):
        mteb.evaluate(model, ReportTexts(), cache=None)


def test_another_precision_of_vectors_is_refused(model: EncoderProtocol) -> None:
    with pytest.raises(OptionError, match="precision='int8'"):
        mteb.evaluate(model, ReportPages(), cache=None, encode_kwargs={"precision": "int8"})


def test_a_model_is_what_mteb_calls_an_encoder(model: EncoderProtocol) -> None:
    assert isinstance(model, EncoderProtocol)
