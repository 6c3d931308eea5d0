"""docs/mteb.md: its blocks run, and its lines and tables name what there is."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import version
from typing import TYPE_CHECKING

import mteb
import pytest
from mteb.models import ModelMeta
from tests.documents import ROOT, blocks_of, furnish, with_bundled_models

from vdr_integrations.mteb.__main__ import main, parser
from vdr_integrations.mteb.model_meta import PUBLISHED
from vdr_integrations.mteb.task_names import tasks_named

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = ROOT / "docs" / "mteb.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
OWN_TASK = "invoices:Invoices"


def lines_of() -> list[list[str]]:
    """Arguments of every line that measures."""
    shell = [block.text for block in blocks_of(DOCUMENT) if block.kind == "sh"]
    return [
        shlex.split(line)[3:]
        for line in "\n".join(shell).splitlines()
        if line.startswith("python -m vdr_integrations.mteb ")
    ]


def test_every_line_has_options_and_tasks_that_there_are() -> None:
    lines = lines_of()
    assert len(lines) == 5
    for line in lines:
        given = parser().parse_args(line)
        assert given.tasks == [OWN_TASK] or tasks_named(given.tasks)


def test_the_blocks_run_and_the_task_of_the_page_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(furnish(tmp_path / "work"))
    monkeypatch.syspath_prepend(".")
    ours, task = (block.text for block in blocks_of(DOCUMENT) if block.kind == "python")
    exec(compile(with_bundled_models(ours), DOCUMENT.name, "exec"), {})
    (tmp_path / "work" / "invoices.py").write_text(task, encoding="utf-8")
    (line,) = [line for line in lines_of() if OWN_TASK in line]
    assert main([with_bundled_models(argument) for argument in line]) == 0
    assert re.search(r"^Invoices +default +test +\d", capsys.readouterr().out, re.MULTILINE)


def test_the_table_of_an_entry_has_the_values_that_the_package_gives() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", TEXT, re.MULTILINE)
    shown = {name: value.strip("`").replace(",", "") for name, value in rows}
    facts = PUBLISHED["llamaindex/vdr-2b-multi-v1"]
    for name in ("n_parameters", "n_embedding_parameters", "memory_usage_mb"):
        assert shown[name] == str(facts[name]), name
    for name in ("release_date", "adapted_from", "public_training_data"):
        assert shown[name] == facts[name], name
    assert all(f"`{language}`" in TEXT for language in facts["languages"])
    assert str(facts["training_datasets"]).replace("'", '"') in TEXT


def test_the_entry_of_mteb_has_the_faults_that_the_page_names() -> None:
    entry = mteb.get_model_meta("llamaindex/vdr-2b-multi-v1")
    assert isinstance(entry, ModelMeta)
    assert entry.modalities == ["text"]
    assert entry.training_datasets is not None
    assert {len(name) for name in entry.training_datasets} == {1}
    assert str(entry.release_date) < "2025"
    with pytest.raises(ValueError, match="none overlap"):
        mteb.evaluate(entry, tasks_named(["VDRMultilingualRetrieval"]), cache=None)


def test_the_page_names_the_version_that_is_tested() -> None:
    assert set(re.findall(r"mteb (\d[\d.]*\d)", TEXT)) == {version("mteb")}


def test_the_table_of_benchmarks_names_the_measure_of_each() -> None:
    rows = re.findall(r"^\| `(V[\w()]+)` \|.*\| NDCG@(\d+) \|$", TEXT, re.MULTILINE)
    assert len(rows) == 4
    for name, measure in rows:
        found = {task.metadata.main_score for task in tasks_named([name])}
        assert found == {f"ndcg_at_{measure}"}, name
