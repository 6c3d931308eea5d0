"""Every example in the README runs, with the bundled checkpoint in the place of the 2B one."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from vdr_integrations.cli.app import app

if TYPE_CHECKING:
    from vdr_integrations import PageStore

ROOT = Path(__file__).resolve().parent.parent
BUNDLED = {
    "llamaindex/vdr-2b-multi-v1": "nano",
    "vidore/colqwen2-v1.0": "nano-colqwen2",
}
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(README)
PYTHON = [block for language, block in BLOCKS if language == "python"]
COMMANDS = [
    line
    for language, block in BLOCKS
    if language == "sh"
    for line in block.splitlines()
    if line.startswith("vdr ")
]
DOCUMENTS = [
    ROOT / "docs" / f"{name}.md"
    for name in ("agents", "cli", "encoder", "late-interaction", "pictures")
]
EXAMPLES = [
    "python",
    "llama_index",
    "langchain",
    "late llama_index",
    "late langchain",
    "late python",
]


def with_bundled_models(text: str) -> str:
    for model, bundled in BUNDLED.items():
        text = text.replace(model, bundled)
    return text


def arguments_of(line: str) -> list[str]:
    return shlex.split(with_bundled_models(line))[1:]


def run_vdr(line: str) -> None:
    """Run a command here, where torch is imported already."""
    done = CliRunner().invoke(app, arguments_of(line))
    assert done.exit_code == 0, done.stderr


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
    assert len(PYTHON) == len(EXAMPLES)
    assert [shlex.split(line)[1] for line in COMMANDS] == ["index", "search"] * 2


@pytest.mark.parametrize("block", PYTHON, ids=EXAMPLES)
def test_a_python_example_prints_pages(
    block: str, reports: Path, page_store: PageStore, capsys: pytest.CaptureFixture[str]
) -> None:
    if "late-index" in block:
        run_vdr(next(line for line in COMMANDS if "--late-interaction" in line))
    code = compile(with_bundled_models(block), "README.md", "exec")
    exec(code, {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert re.search(r"\b[123]\b", printed), printed


@pytest.mark.parametrize("index", ["my-index", "late-index"])
def test_a_command_line_example_finds_pages(index: str, reports: Path) -> None:
    commands = [line for line in COMMANDS if index in line]
    for line in commands[:-1]:
        run_vdr(line)
    done = subprocess.run(
        [sys.executable, "-m", "vdr_integrations", *arguments_of(commands[-1])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "report.pdf" in done.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_example_of_a_document_runs_in_its_order(
    document: Path, reports: Path, page_store: PageStore
) -> None:
    blocks = BLOCK.findall(document.read_text(encoding="utf-8"))
    assert any(language in {"python", "sh"} for language, _ in blocks)
    for language, block in blocks:
        if language == "python":
            code = compile(with_bundled_models(block), document.name, "exec")
            exec(code, {"__name__": "document"})
        elif language == "sh":
            for line in block.splitlines():
                if line.startswith("vdr "):
                    run_vdr(line)


def test_links_of_documents_lead_somewhere() -> None:
    for document in (ROOT / "docs").glob("*.md"):
        text = document.read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_tests_and_files_that_documents_name_exist() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    for document in (ROOT / "docs").glob("*.md"):
        text = document.read_text(encoding="utf-8")
        for name in re.findall(r"`(test_\w+)`", text):
            assert f"def {name}(" in tests, f"{document.name}: {name}"
        for path in re.findall(r"`(tests/[\w/]+\.py)`", text):
            assert (ROOT / path).exists(), f"{document.name}: {path}"


def test_every_make_target_and_file_that_the_readme_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake (\w+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", README):
        assert (ROOT / link).exists(), link
    for module in re.findall(r"python -m (benchmarks\.\w+)", README):
        assert find_spec(module) is not None, module
