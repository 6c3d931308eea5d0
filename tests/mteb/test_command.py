"""``python -m vdr_integrations.mteb``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from vdr_integrations.mteb.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

OWN = "tests.mteb.report_pages:ReportPages"


def test_the_command_prints_each_subset_and_keeps_the_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["nano", OWN, "--device", "cpu", "--max-visual-tokens", "64"]
    arguments += ["--dimension", "64", "--results", str(tmp_path)]
    assert main(arguments) == 0
    first = capsys.readouterr().out
    assert first.startswith("vdr-integrations/nano (dimension=64, max_visual_tokens=64)\n")
    assert re.findall(r"^ReportPages +(\w+) +test +\d\.\d{4}  \d\.\d{4}$", first, re.MULTILINE) == [
        "en",
        "it",
    ]
    (kept,) = tmp_path.rglob("ReportPages.json")
    written = kept.stat().st_mtime_ns
    assert main(arguments) == 0
    assert capsys.readouterr().out == first
    assert kept.stat().st_mtime_ns == written


@pytest.mark.filterwarnings("ignore:Dataset for private task")
def test_a_task_with_closed_data_is_named_and_the_others_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = OWN.replace("ReportPages", "ClosedPages")
    arguments = ["nano", closed, OWN, "--device", "cpu", "--max-visual-tokens", "64"]
    assert main([*arguments, "--results", str(tmp_path)]) == 3
    said = capsys.readouterr()
    assert "warning: ClosedPages was not measured: en is closed\n" in said.err
    assert "\nReportPages " in said.out


def test_an_unknown_task_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nano", "Nothing"]) == 1
    assert capsys.readouterr().err.startswith("error: 'Nothing' is neither a task nor a benchmark")


def test_an_unknown_model_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nobody/nothing", OWN]) == 1
    assert capsys.readouterr().err.startswith("error: the prompts of 'nobody/nothing'")
