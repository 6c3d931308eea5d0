"""docs/ray.md: its blocks run, and it names what is tested."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import version
from pathlib import Path

import pytest
import ray.data
from PIL import Image
from tests.documents import ROOT, blocks_of, furnish, with_bundled_models
from typer.testing import CliRunner

from vdr_integrations.cli.app import app

DOCUMENT = ROOT / "docs" / "ray.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = furnish(tmp_path / "work")
    monkeypatch.chdir(folder)
    (folder / "images").mkdir()
    for number in range(3):
        Image.new("RGB", (140, 200), (250, 60 * number, 0)).save(folder / f"images/{number}.png")
    return folder


def code(number: int) -> str:
    return [block.text for block in blocks_of(DOCUMENT) if block.kind == "python"][number]


def test_the_index_is_made_and_searched(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(with_bundled_models(code(0)), DOCUMENT.name, "exec"), {})
    assert re.match(r"[1-9]\d* documents, [1-9]\d* pages\n.+\.pdf\n", capsys.readouterr().out)


def test_the_pipeline_writes_vectors(work: Path) -> None:
    # Paths of the work folder: actors have a folder of their own.
    text = code(1).replace('"images/"', repr(str(work / "images")))
    text = text.replace('"vectors/"', repr(str(work / "vectors")))
    exec(compile(with_bundled_models(text), DOCUMENT.name, "exec"), {})
    rows = ray.data.read_parquet(str(work / "vectors")).take_all()
    assert len(rows) == 3
    assert sorted(Path(row["path"]).name for row in rows) == ["0.png", "1.png", "2.png"]
    assert all(len(row["vector"]) == 512 for row in rows)


def test_the_options_of_the_command_are_there() -> None:
    shell = "\n".join(block.text for block in blocks_of(DOCUMENT) if block.kind == "sh")
    lines = [line for line in shell.splitlines() if line.startswith("vdr ")]
    assert len(lines) == 2
    for line in lines:
        _, command, *arguments = shlex.split(line)
        helped = CliRunner().invoke(app, [command, "--help"]).stdout
        assert all(one in helped for one in arguments if one.startswith("--"))


def test_the_page_names_the_version_that_is_tested() -> None:
    assert set(re.findall(r"Ray (\d[\d.]*\d)", TEXT)) == {version("ray")}
