"""Transcripts in the documents show what commands and agents print now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from tests import transcripts
from tests.transcripts import Command, difference

if TYPE_CHECKING:
    from pathlib import Path

    from tests.prepared.python import PreparedPython

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")

COMMANDS = {
    "index",
    "search",
    "show",
    "store",
    "heatmap",
    "info",
    "rm",
    "verify",
    "models",
    "doctor",
}
CLI, AGENTS = transcripts.DOCUMENTS


@pytest.fixture(scope="module", params=[CLI, AGENTS], ids=lambda path: path.stem)
def session(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    prepared_python: PreparedPython,
    seen_pages: None,
) -> tuple[Path, list[Command]]:
    home = tmp_path_factory.mktemp("home")
    return request.param, transcripts.rerun(request.param, home, python=prepared_python)


def test_every_transcript_is_true(session: tuple[Path, list[Command]]) -> None:
    document, ran = session
    assert ran
    wrong = [what for command in ran if (what := difference(command)) is not None]
    again = "make transcripts updates it"
    assert not wrong, f"{document.name} ({again}):\n" + "\n\n".join(wrong)


def test_every_command_and_both_agents_are_shown(session: tuple[Path, list[Command]]) -> None:
    document, ran = session
    lines = [command.line for command in ran]
    if document == CLI:
        assert {line.split()[1] for line in lines if line.startswith("vdr ")} == COMMANDS
        assert any("--report" in line for line in lines)
    else:
        scripts = [line.split()[1] for line in lines if line.startswith("python ")]
        assert scripts == ["llama_index_agent.py", "langchain_agent.py", "mcp_client.py"]


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ("3 pages\n", "3 pages\n"),
        ("score 0.2341\n", "score 0.2339\n"),
        ("weights  47.6 MB\n", "weights 9 kB\n"),
        ("a\n...\nd\n", "a\nb\nc\nd\n"),
        ("a\n...\n", "a\nb\n"),
        ("page_ref: vdr-page:" + "a" * 64, "page_ref: vdr-page:" + "b" * 64),
    ],
)
def test_what_differs_between_machines_is_let_pass(shown: str, found: str) -> None:
    assert difference(Command("vdr", shown, found)) is None


@pytest.mark.parametrize(
    ("shown", "found", "said"),
    [
        ("3 pages\n", "4 pages\n", "shown: 3 pages\nfound: 4 pages"),
        ("score 0.23\n", "score 0.32\n", "found: score 0.32"),
        ("a\nb\n", "a\n", "shown: b\nfound: the end"),
        ("a\n", "a\nb\n", "shown: the end\nfound: b"),
        ("", "error: no\n", "shown: the end\nfound: error: no"),
        ("a\n...\nd\n", "a\nb\nc\n", "shown: d\nfound: b"),
    ],
)
def test_what_is_no_longer_true_is_said(shown: str, found: str, said: str) -> None:
    assert said in (difference(Command("vdr", shown, found)) or "")
