"""Input and output of ``vdr index``, and which imports ``vdr --help`` avoids."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version
from tests.cli.pseudo_terminal import in_terminal
from tests.index.documents import write_pdf, write_pdf_with_a_bad_page, write_png
from tests.page_warnings import WARNING, spoil_a_picture

from vdr_integrations.cli.terminal.sync_report_display import show_report_as_json, show_troubles
from vdr_integrations.encoders.forward.eight_bit_weights import PACKINGS
from vdr_integrations.encoders.runtime.device_and_dtype import DTYPES
from vdr_integrations.index import SyncReport, SyncWarning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.prepared.python import PreparedPython
    from typer.testing import Result

HEAVY = (
    "torch",
    "transformers",
    "numpy",
    "PIL",
    "pymupdf",
    "rich",
    "jinja2",
    *(["sqlite3"] if Version(version("filelock")) >= Version("4.2") else []),  # older: always
    "huggingface_hub",
    "qdrant_client",
    "llama_index",
    "langchain_core",
    "mcp",
)


def model_options(checkpoint: Path) -> list[object]:
    return ["--model", checkpoint, "--max-visual-tokens", 16, "--dimension", 32]


def test_globs_that_the_shell_left_alone_are_expanded(
    vdr: Callable[..., Result], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    for name in ("a.pdf", "b.pdf", "deep/c.pdf"):
        write_pdf(tmp_path / "docs" / name, ["x"])
    write_png(tmp_path / "docs" / "d.png", "red")
    options = ["--index", tmp_path / "ix", *model_options(tiny_checkpoint), "--json"]
    done = vdr("index", tmp_path / "docs" / "*.pdf", *options)
    assert [one.rpartition("/")[2] for one in json.loads(done.stdout)["added"]] == [
        "a.pdf",
        "b.pdf",
    ]
    done = vdr("index", tmp_path / "docs" / "**" / "*.pdf", *options)
    assert json.loads(done.stdout)["added"] == [(tmp_path / "docs/deep/c.pdf").as_posix()]
    nothing = vdr("index", tmp_path / "docs" / "*.tiff", *options)
    assert nothing.exit_code == 1
    assert "*.tiff" in nothing.stderr


def test_json_names_what_was_done_and_what_failed(
    vdr: Callable[..., Result], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    (tmp_path / "docs").mkdir()
    long = write_pdf_with_a_bad_page(tmp_path / "docs" / "long.pdf")
    options = ["--index", tmp_path / "ix", *model_options(tiny_checkpoint)]
    done = vdr("index", tmp_path / "docs", *options, "--json")
    assert done.exit_code == 3
    found = json.loads(done.stdout)
    (failure,) = found.pop("failed")
    assert (failure["source"], failure["page_number"]) == (long.as_posix(), 2)
    assert found == {
        "added": [long.as_posix()],
        "changed": [],
        "unchanged": [],
        "removed": [],
        "missing": [],
        "warnings": [],
        "troubles": [],
        "pages_encoded": 2,
        "pages_kept": 0,
    }


def test_warnings_of_pages_are_lines_and_do_not_fail(
    vdr: Callable[..., Result],
    tmp_path: Path,
    tiny_checkpoint: Path,
) -> None:
    path = spoil_a_picture(write_pdf(tmp_path / "a.pdf", ["apples", "pears"]), 2)
    options = [path, "--index", tmp_path / "ix", *model_options(tiny_checkpoint)]
    for _ in range(2):
        done = vdr("index", *options)
        assert done.exit_code == 0
        lines = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
        assert lines == [f"warning: {path.as_posix()} page 2: {WARNING}"]
    found = json.loads(vdr("index", *options, "--json").stdout)
    shown = {"source": path.as_posix(), "page_number": 2, "message": WARNING}
    assert found["warnings"] == [shown]
    hits = json.loads(vdr("search", "pears", "--index", tmp_path / "ix", "--json").stdout)
    assert [hit.get("warnings") for hit in hits if hit["page_number"] == 2] == [[WARNING]]
    assert all("warnings" not in hit for hit in hits if hit["page_number"] == 1)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_went_wrong_with_a_run_is_a_line_and_is_in_its_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, is_terminal: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    report = SyncReport(troubles=["nano: cuda:1 was lost"])
    show_troubles(report)
    assert capsys.readouterr().err == "warning: nano: cuda:1 was lost.\n"
    show_report_as_json(report)
    assert json.loads(capsys.readouterr().out)["troubles"] == report.troubles


def test_warnings_are_a_table_of_their_own_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    report = SyncReport()
    show_troubles(report)
    assert capsys.readouterr().err == ""
    report.warnings.append(SyncWarning("/docs/\x1b[2Ja.pdf", 2, "a \x1b[2J picture is blank."))
    show_troubles(report)
    seen = capsys.readouterr().err
    assert "Warning" in seen
    assert "picture is blank." in seen
    assert "Not indexed" not in seen
    assert "\x1b[2J" not in seen


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals")
def test_on_a_terminal_speed_time_left_and_a_table_of_failures_are_shown(
    prepared_python: PreparedPython,
    tmp_path: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "docs").mkdir()
    write_pdf_with_a_bad_page(tmp_path / "docs" / "long.pdf")
    (tmp_path / "docs" / "\x1b[2Jbad.pdf").write_bytes(b"no PDF")
    command = ["index", tmp_path / "docs", "--index", tmp_path / "ix"]
    monkeypatch.chdir(tmp_path)
    code, seen, stdout = in_terminal(
        prepared_python,
        *command,
        *model_options(tiny_checkpoint),
        stream="stderr",
        environment={"COLUMNS": "160"},
    )
    assert code == 3
    assert stdout.startswith("1 added")
    assert "pages/s" in seen
    assert "left" in seen
    table = seen.partition("Not indexed")[2]
    assert "Why" in table
    assert "docs/long.pdf" in table
    assert "bad.pdf" in table
    assert "\x1b[2J" not in seen


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["index", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = (
        f"import sys; sys.argv = ['vdr', *{arguments!r}]\n"
        "from vdr_integrations.cli.main import main\n"
        "try: main()\n"
        f"finally: print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("\n[]\n")


@pytest.mark.parametrize("command", ["index", "search", "heatmap", "mcp"])
def test_help_names_each_dtype_there_is(vdr: Callable[..., Result], command: str) -> None:
    shown = vdr(command, "--help").stdout.partition("--dtype")[2].partition("--")[0]
    accepted = {"auto", *PACKINGS.values(), *(str(dtype)[6:] for dtype in DTYPES.values())}
    assert accepted <= set(re.findall(r"\w+", shown))
