"""The notebooks run offline, and what is kept of them is what they say."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from notebooks import run
from tests.transcripts import Command, difference

if TYPE_CHECKING:
    from pathlib import Path

    from tests.prepared.python import PreparedPython


@pytest.fixture
def python(request: pytest.FixtureRequest, seen_pages: None) -> list[str]:
    """A Python that has imported torch already, where there can be one."""
    if not hasattr(os, "pidfd_open"):
        return [sys.executable]
    prepared: PreparedPython = request.getfixturevalue("prepared_python")
    return prepared.command


def test_there_are_five_notebooks_in_order() -> None:
    assert [name[:2] for name in run.NAMES] == ["01", "02", "03", "04", "05"]
    assert {path.stem for path in run.FOLDER.glob("*.ipynb")} == set(run.NAMES)


@pytest.mark.parametrize("name", run.NAMES)
def test_the_kept_outputs_are_of_these_cells_and_name_no_machine(name: str) -> None:
    assert run.out_of_step(name) == []


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (("# %%\n", "# %%\n1 + 1\n\n# %%\n"), "has other cells than"),
        (None, "is missing"),
    ],
)
def test_a_pair_out_of_step_is_told_apart(
    mistake: tuple[str, str] | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = run.NAMES[0]
    source = (run.FOLDER / f"{name}.py").read_text(encoding="utf-8")
    if mistake is not None:
        source = source.replace(*mistake, 1)
        kept = (run.FOLDER / f"{name}.ipynb").read_bytes()
        (tmp_path / f"{name}.ipynb").write_bytes(kept)
    (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    monkeypatch.setattr(run, "FOLDER", tmp_path)
    (wrong,) = run.out_of_step(name)
    assert said in wrong
    assert f"python -m notebooks.run --write {name}" in wrong


@pytest.mark.parametrize("name", run.NAMES)
def test_it_runs_and_prints_what_is_kept(name: str, python: list[str]) -> None:
    kept = nbformat.read(run.FOLDER / f"{name}.ipynb", as_version=4)
    for shown, found in zip(kept.cells, run.executed(name, python=python).cells, strict=True):
        assert outputs(found) == outputs(shown)
        command = Command(shown.source, shown=printed(shown), found=printed(found))
        assert difference(command) is None, f"make notebooks\n{difference(command)}"


def test_nothing_outside_this_machine_can_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: list[str]
) -> None:
    cell = "# %%\nimport socket\n\nsocket.create_connection(('127.0.0.1', 9))\n"
    (tmp_path / "asking.py").write_text(cell, encoding="utf-8")
    monkeypatch.setattr(run, "FOLDER", tmp_path)
    with pytest.raises(CellExecutionError, match="SocketBlockedError"):
        run.executed("asking", python=python)


def outputs(cell: Any) -> list[str]:
    """The kinds of a cell's outputs; pictures by their format."""
    return [
        "image/png" if "image/png" in output.get("data", {}) else output.output_type
        for output in cell.get("outputs", [])
    ]


def printed(cell: Any) -> str:
    streams = (o.text for o in cell.get("outputs", []) if o.output_type == "stream")
    return "".join(streams)
