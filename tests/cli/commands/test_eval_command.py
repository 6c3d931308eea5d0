"""``vdr eval``."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.report.test_search_report import NASTY, Parsed
from tests.documents import ROOT
from tests.pdfs import write_pdf
from typer.testing import CliRunner

from vdr_integrations.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

pytestmark = pytest.mark.usefixtures("seen_pages")

REPORT = "library-report.en.pdf"
LATE = "nano-colqwen2"


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The questions about one report of the demo, beside it."""
    folder = tmp_path_factory.mktemp("eval")
    (folder / "documents").mkdir()
    shutil.copy(ROOT / "demo" / "documents" / REPORT, folder / "documents")
    asked = json.loads((ROOT / "demo" / "questions.json").read_text(encoding="utf-8"))
    lines = [
        {
            "question": one["question"],
            "document": one["source"],
            "pages": [one["page_number"]],
            "language": one["language"],
        }
        for one in asked
        if one["source"] == REPORT
    ]
    write(folder, *lines, {"question": NASTY, "document": REPORT, "pages": [5]})
    return folder


@pytest.fixture(scope="module")
def work(questions: Path) -> Path:
    """Indexes of both models with one change each."""
    folder = questions / "work"
    models = ["--model", LATE, "--model", "nano"]
    changes = ["--compare", "int8,pool3", "--compare", "dimension=64"]
    out = ["--json", str(questions / "out.json"), "--html", str(questions / "out.html")]
    arguments = ["eval", str(questions), *models, *changes, "--work", str(folder), *out]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.stderr
    (questions / "out.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def write(folder: Path, *lines: dict[str, Any]) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def test_a_folder_of_questions_and_documents_is_measured(questions: Path, work: Path) -> None:
    found = json.loads((questions / "out.json").read_text(encoding="utf-8"))
    late = [LATE, f"{LATE} hybrid", f"{LATE} int8,pool3"]
    systems = ["BM25", *late, "nano", "nano hybrid", "nano dimension=64"]
    assert list(found["systems"]) == systems
    assert found["pages"] == 5
    assert found["groups"]["all"] == len(found["questions"]) == 6
    assert found["systems"]["nano dimension=64"]["dimension"] == 64
    assert found["systems"][f"{LATE} int8,pool3"]["compression"] == "int8,pool3"
    printed = (questions / "out.txt").read_text(encoding="utf-8")
    for system in systems:
        each = [one["systems"][system]["within"]["ndcg@5"] for one in found["questions"]]
        mean = found["systems"][system]["within"]["all"]["ndcg@5"]
        assert mean["mean"] == pytest.approx(sum(each) / len(each))
        assert mean["low"] <= mean["mean"] <= mean["high"]
        assert f"{mean['mean']:.3f}".removeprefix("0") in printed
    assert found["systems"][LATE]["within"]["all"]["hit@1"]["mean"] > 0.5
    assert "6 questions, among all 5 pages" in printed


def test_an_index_gives_what_its_model_gave(
    vdr: Callable[..., Result], questions: Path, work: Path
) -> None:
    before = json.loads((questions / "out.json").read_text(encoding="utf-8"))
    done = vdr("eval", questions, "--index", work / LATE, "--json", "-")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["systems"][LATE] == before["systems"][LATE]


def test_the_page_of_failures_shows_the_right_page_beside_the_first(
    questions: Path, work: Path
) -> None:
    html = (questions / "out.html").read_text(encoding="utf-8")
    found = json.loads((questions / "out.json").read_text(encoding="utf-8"))
    page = Parsed(html)
    failed = {
        system: [one for one in found["questions"] if one["systems"][system]["all"]["rank"] > 1]
        for system in list(found["systems"])[1:]
    }
    count = sum(map(len, failed.values()))
    assert count > 0
    assert len(page.all("article")) == count
    assert len(page.all("img", **{"class": "page"})) == 2 * count
    late = sum(len(ones) for system, ones in failed.items() if system.startswith(LATE))
    assert len(page.all("img", **{"class": "heat"})) == 2 * late
    for one in failed[LATE]:
        assert one["question"].split("\x1b")[0].strip() in page.text


def test_the_page_of_failures_runs_and_requests_nothing(questions: Path, work: Path) -> None:
    html = (questions / "out.html").read_text(encoding="utf-8")
    page = Parsed(html)
    assert "<script>alert('x')</script>" in page.text  # a question that failed
    assert "<script" not in html
    assert "\x1b" not in html
    policies = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert "default-src 'none'" in policies[0]["content"]
    assert "script-src" not in policies[0]["content"]
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    assert all(link["href"].startswith("#") for link in page.all("a"))


def test_questions_that_cannot_be_asked_are_counted_with_their_reasons(
    vdr: Callable[..., Result], work: Path, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        {"question": "Which branch?", "document": REPORT, "pages": [1]},
        {"question": "Who?", "document": "gone.pdf", "pages": [1]},
        {"question": "Where?", "document": "gone.pdf", "pages": [2]},
        {"question": "When?", "document": REPORT, "pages": [50]},
    )
    done = vdr("eval", path, "--index", work / "nano", "--json", tmp_path / "o.json")
    assert done.exit_code == 3
    assert "2 questions left out: gone.pdf is not among the documents." in done.stderr
    assert f"1 question left out: {REPORT} has 5 pages" in done.stderr
    assert "1 questions, within" in done.stdout
    assert len(json.loads((tmp_path / "o.json").read_text())["left_out"]) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--compare", "tokens=0"], "tokens must be a whole number from 1"),
        (["--compare", "width=3"], "'width' is unknown or twice"),
        (["--compare", "int9"], "--compression does not know 'int9'"),
        (["--compare", "int8,dimension=3"], "choose one"),
        (["--compare", "dimension=64"], "--compare dimension=64 is for dense vectors"),
        (["--compare", "tokens=64"], "name its model with --model nano-colqwen2"),
        (["--html", "-"], "name a file for the page"),
        (["--index", "nowhere"], "nowhere"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    vdr: Callable[..., Result], questions: Path, work: Path, options: list[str], message: str
) -> None:
    done = vdr("eval", questions, "--index", work / LATE, *options)
    assert done.exit_code == 1
    assert message in done.stderr


def test_questions_without_documents_are_refused_before_a_model_is_loaded(
    vdr: Callable[..., Result], tmp_path: Path
) -> None:
    path = write(tmp_path, {"question": "Who?", "document": "a.pdf", "pages": [1]})
    for arguments in ([], ["none.pdf"]):
        done = vdr("eval", path, *arguments, "--model", "no/such-model")
        assert done.exit_code == 1
        assert "comes without documents" in done.stderr or "no such file" in done.stderr


def test_documents_that_no_question_names_leave_nothing_to_ask(
    vdr: Callable[..., Result], tmp_path: Path
) -> None:
    path = write(tmp_path, {"question": "Who?", "document": "b.pdf", "pages": [1]})
    document = write_pdf(tmp_path / "a.pdf", ["apples"])
    done = vdr("eval", path, document, "--model", "nano")
    assert done.exit_code == 1
    assert "none of the 1 questions can be asked" in done.stderr


def test_indexes_of_one_name_in_two_folders_are_told_apart(
    vdr: Callable[..., Result], questions: Path, work: Path, tmp_path: Path
) -> None:
    for folder in ("old", "new"):
        shutil.copytree(work / "nano", tmp_path / folder / "ix")
    paths = [tmp_path / folder / "ix" for folder in ("old", "new")]
    done = vdr("eval", questions, "--index", paths[0], "--index", paths[1], "--json", "-")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)["systems"]
    assert {str(path) for path in paths} <= found.keys()


def test_one_model_given_twice_is_refused_before_it_is_loaded(
    vdr: Callable[..., Result], questions: Path, tmp_path: Path
) -> None:
    twice = ["--model", "nano", "--model", "nano", "--work", tmp_path / "w"]
    done = vdr("eval", questions, *twice)
    assert done.exit_code == 1
    assert "two systems are called 'nano'" in done.stderr
    assert list((tmp_path / "w").iterdir()) == []


def test_documents_of_an_earlier_run_do_not_count_unnoticed(
    vdr: Callable[..., Result], questions: Path, work: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(work, tmp_path / "work")
    other = shutil.copy(questions / "documents" / REPORT, tmp_path / "other.pdf")
    path = write(tmp_path, {"question": "Which branch?", "document": "other.pdf", "pages": [1]})
    done = vdr("eval", path, other, "--model", "nano", "--work", folder)
    assert done.exit_code == 1
    assert "documents that are not named now, such as" in done.stderr
    assert REPORT in done.stderr
    assert "give another folder with --work" in done.stderr
    again = vdr("eval", path, other, questions / "documents", "--model", "nano", "--work", folder)
    assert again.exit_code == 0, again.stderr
