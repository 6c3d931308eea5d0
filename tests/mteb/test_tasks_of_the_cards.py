"""mteb's own tasks of the cards' tables, over small data sets in the format of the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mteb
import pytest
from datasets import config
from tests.mteb.hub_datasets import multilingual_test, vidore_v1, vidore_v3
from tests.mteb.report_pages import ReportPages, pages_of, questions_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mteb.abstasks import AbsTask
    from mteb.models import EncoderProtocol


@pytest.mark.filterwarnings("ignore:The task .* is superseded")
@pytest.mark.parametrize("task_over", [multilingual_test, vidore_v1, vidore_v3])
def test_the_task_gives_what_the_same_pages_give_in_another_task(
    task_over: Callable[[Path], AbsTask],
    model: EncoderProtocol,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    assert len(pages_of("en")) > len(questions_of("en")), "some pages answer no question"
    task = task_over(tmp_path / "hub")
    (result,) = mteb.evaluate(model, task, cache=None).task_results
    (same,) = mteb.evaluate(model, ReportPages(), cache=None).task_results
    ((found,),) = result.scores.values()
    (expected,) = [one for one in same.scores["test"] if one["hf_subset"] == "en"]
    assert found["ndcg_at_5"] == pytest.approx(expected["ndcg_at_5"], abs=1e-4)
