"""Names of tasks and benchmarks."""

from __future__ import annotations

import pytest

from vdr_integrations.errors import OptionError
from vdr_integrations.mteb.task_names import tasks_named

OWN = "tests.mteb.report_pages:ReportPages"


def test_a_benchmark_is_all_of_its_tasks() -> None:
    found = [task.metadata.name for task in tasks_named(["ViDoRe(v1)", OWN])]
    assert len(found) == 11
    assert found[0] == "VidoreArxivQARetrieval"
    assert found[-1] == "ReportPages"


def test_every_table_of_the_cards_has_its_task() -> None:
    names = ["VDRMultilingualRetrieval", "ViDoRe(v1)", "ViDoRe(v2)", "ViDoRe(v3)"]
    assert all("image" in task.metadata.modalities for task in tasks_named(names))


def test_languages_choose_subsets() -> None:
    found = tasks_named(["VDRMultilingualRetrieval", OWN], languages=["ita"])
    assert [task.hf_subsets for task in found] == [["it"], ["it"]]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("VDRMultilingual", "neither a task nor a benchmark of mteb"),
        ("tests.mteb.report_pages:Nothing", "must be MODULE:CLASS"),
        ("tests.mteb.nowhere:Task", "must be MODULE:CLASS"),
        ("pathlib:Path", "no class of a task"),
    ],
)
def test_a_name_that_is_no_task_is_refused(name: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        tasks_named([name])


def test_a_language_that_no_task_has_is_refused() -> None:
    with pytest.raises(OptionError, match="no subset of"):
        tasks_named([OWN], languages=["jpn"])
