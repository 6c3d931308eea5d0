"""``--hybrid``, ``--correction`` and ``--question-bank``: what counts for a page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.menus import QUESTION, index_menus

from vdr_integrations.index import QuestionBank, open_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from vdr_integrations.agents.page_service import PageService

pytestmark = pytest.mark.usefixtures("seen_pages")


@pytest.fixture(scope="module")
def menus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index_menus(tmp_path_factory.mktemp("menus"))


def hits(done: Result) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_search_says_what_its_scores_are(vdr: Callable[..., Result], menus: Path) -> None:
    search = ("search", QUESTION, "--index", menus / "ix", "--json")
    kinds: dict[str, tuple[object, ...]] = {
        "corrected": (),
        "maxsim": ("--correction", 0),
        "hybrid": ("--hybrid",),
    }
    scores: set[float] = set()
    for kind, options in kinds.items():
        found = hits(vdr(*search, *options))
        assert {hit["score_kind"] for hit in found} == {kind}
        assert found[0]["source"].endswith("menu.pdf")
        scores.add(found[0]["score"])
    assert len(scores) == len(kinds)
    assert vdr(*search, "--correction", 3).exit_code == 2


def test_a_served_index_lets_words_count_too(
    vdr: Callable[..., Result],
    menus: Path,
    monkeypatch: pytest.MonkeyPatch,
    page_store: object,
) -> None:
    served: list[PageService] = []

    def serve(open_service: Callable[[], PageService]) -> None:
        served.append(open_service())

    monkeypatch.setattr("vdr_integrations.mcp.server.serve_stdio", serve)
    for options in ((), ("--hybrid",)):
        done = vdr("mcp", "--index", menus / "ix", *options)
        assert done.exit_code == 0, done.stderr
    plain, hybrid = (service.search(QUESTION, k=1).parts[0] for service in served)
    assert plain != hybrid


def test_a_new_index_takes_the_questions_of_a_file_or_none(
    vdr: Callable[..., Result], menus: Path, tmp_path: Path
) -> None:
    bank = tmp_path / "bank.txt"
    bank.write_bytes("\ufeffWhere is the key?\r\n\r\nWer hat gewonnen?\r\n".encode())
    new = ("index", menus / "docs", "--late-interaction", "--model", "nano-colqwen2")
    made = vdr(*new, "--index", tmp_path / "own", "--question-bank", bank)
    assert made.exit_code == 0, made.stderr
    with open_index(tmp_path / "own") as index:
        assert index.late is not None
        found = index.late.question_bank()
    assert isinstance(found, QuestionBank)
    info = json.loads(vdr("info", "--index", tmp_path / "own", "--json").stdout)
    assert info["correction"] == f"1, by {len(found.vectors)} tokens of questions"
    again = vdr("index", menus / "docs", "--index", tmp_path / "own", "--question-bank", "none")
    assert again.exit_code == 1
    assert "was made with a question bank" in again.stderr
    assert vdr("index", menus / "docs", "--index", tmp_path / "own").exit_code == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "name a text file"), (b"\n \n", "holds no questions"), (b"\xff\xfe\xff", "not UTF-8")],
)
def test_a_file_without_questions_is_refused_before_a_model_is_loaded(
    vdr: Callable[..., Result], tmp_path: Path, content: bytes | None, said: str
) -> None:
    bank = tmp_path / "bank.txt"
    if content is not None:
        bank.write_bytes(content)
    done = vdr("index", tmp_path, "--index", tmp_path / "ix", "--question-bank", bank)
    assert done.exit_code == 1
    assert "--question-bank" in done.stderr
    assert said in done.stderr
    assert not (tmp_path / "ix").exists()
