"""Every example in the README runs, with the bundled checkpoint in the place of the 2B one."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vdr_integrations import PageStore

ROOT = Path(__file__).resolve().parent.parent
MODEL = "llamaindex/vdr-2b-multi-v1"
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PYTHON = [block for language, block in BLOCKS if language == "python"]
COMMANDS = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with the PDFs that the examples name."""
    report = ROOT / "demo" / "documents" / "library-report.en.pdf"
    (tmp_path / "reports").mkdir()
    shutil.copy(report, tmp_path / "report.pdf")
    shutil.copy(report, tmp_path / "reports" / "report.pdf")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_has_an_example_for_each_way() -> None:
    assert len(PYTHON) == 3
    assert all(MODEL in block for block in PYTHON)


@pytest.mark.parametrize("block", PYTHON, ids=["python", "llama_index", "langchain"])
def test_a_python_example_prints_pages(
    block: str, reports: Path, page_store: PageStore, capsys: pytest.CaptureFixture[str]
) -> None:
    code = compile(block.replace(MODEL, "nano"), "README.md", "exec")
    exec(code, {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert re.search(r"\b[123]\b", printed), printed


def test_the_command_line_example_finds_pages(reports: Path) -> None:
    commands = [line for line in COMMANDS if line.startswith("vdr ")]
    assert [shlex.split(line)[1] for line in commands] == ["index", "search"]
    printed = ""
    for line in commands:
        arguments = shlex.split(line.replace(MODEL, "nano"))[1:]
        done = subprocess.run(
            [sys.executable, "-m", "vdr_integrations", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed = done.stdout
    assert '"page_number": ' in printed


def test_every_make_target_and_file_that_the_readme_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake (\w+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\((?!https?:|#)([^)]+)\)", README):
        assert (ROOT / link).exists(), link
    for module in re.findall(r"python -m (benchmarks\.\w+)", README):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
