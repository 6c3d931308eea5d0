"""Files of questions: what they may look like, and which line a message names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from vdr_integrations.errors import OptionError
from vdr_integrations.evaluation.judged_question import JudgedQuestion, RelevantPage
from vdr_integrations.evaluation.question_lines import read_question_lines

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {"question": "How much?", "document": "a.pdf", "pages": [2, 3]}


def read(path: Path, *lines: dict[str, Any] | str) -> tuple[list[JudgedQuestion], list[str]]:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (path / "q.jsonl").write_text("\n".join(texts), encoding="utf-8")
    warnings: list[str] = []
    return read_question_lines(path / "q.jsonl", on_warning=warnings.append), warnings


def test_a_line_names_a_document_and_its_pages(tmp_path: Path) -> None:
    line = GOOD | {"sources": ["Table", "Chart"], "language": "de", "answer": "8", "kind": "paper"}
    (question,), warnings = read(tmp_path, line)
    assert question == JudgedQuestion(
        question_id="1",
        text="How much?",
        relevant=(RelevantPage("a.pdf", 2), RelevantPage("a.pdf", 3)),
        language="de",
        kinds=("Table", "Chart"),
    )
    assert question.documents == ("a.pdf",)
    assert warnings == []


def test_pages_of_several_documents_have_grades(tmp_path: Path) -> None:
    relevant = [{"document": "b.pdf", "page": 1, "grade": 2}, {"page": 4}]
    line = {"id": 7, "question": "Who?", "document": "a.pdf", "relevant": relevant}
    (question,), _ = read(tmp_path, line)
    assert question.question_id == "7"
    assert question.relevant == (RelevantPage("b.pdf", 1, 2), RelevantPage("a.pdf", 4))


def test_a_byte_order_mark_line_ends_of_windows_and_empty_lines_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    line = json.dumps(GOOD | {"question": "a\u2028b"}, ensure_ascii=False)
    path.write_bytes(f"\ufeff{line}\r\n\r\n  \r\n".encode())
    (question,) = read_question_lines(path, on_warning=pytest.fail)
    assert question.text == "a\u2028b"


def test_the_same_question_twice_counts_once(tmp_path: Path) -> None:
    questions, warnings = read(tmp_path, GOOD, GOOD | {"pages": [3, 2]}, GOOD | {"pages": [4]})
    assert [question.question_id for question in questions] == ["1", "3"]
    assert len(warnings) == 1
    assert "question 2 is the same as question 1" in warnings[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        ("[1]", "line 2 must be a JSON object, found list"),
        (GOOD | {"question": " "}, "line 2: question must be a text"),
        (GOOD | {"question": 5}, "line 2: question must be a text, found int 5"),
        (GOOD | {"question": "\ud800"}, "line 2: question has half a surrogate pair"),
        (GOOD | {"document": None}, "line 2: document must name a file"),
        (GOOD | {"pages": []}, "line 2: pages must be a list of page numbers"),
        (GOOD | {"pages": 3}, "line 2: pages must be a list of page numbers"),
        (GOOD | {"pages": [0]}, "line 2: a page must be a whole number from 1, found int 0"),
        (GOOD | {"pages": [True]}, "line 2: a page must be a whole number from 1"),
        (GOOD | {"pages": ["3"]}, "line 2: a page must be a whole number from 1, found str 3"),
        (GOOD | {"pages": [3, 3]}, "line 2: a relevant page is listed twice"),
        (GOOD | {"sources": "Table"}, "line 2: sources must be a list of texts"),
        (GOOD | {"language": 1}, "line 2: language must be a text"),
        (GOOD | {"id": [1]}, "line 2: id must be a text or a number"),
        (GOOD | {"relevant": [{"page": 1}]}, "line 2: give either pages or relevant"),
        ({"question": "a", "relevant": [3]}, "line 2: an entry of relevant must be an object"),
        ({"question": "a", "relevant": []}, "line 2: relevant must be a list of pages"),
        ({"question": "a", "relevant": [{"page": 1}]}, "line 2: document must name a file"),
    ],
)
def test_a_wrong_line_is_refused_by_its_number(
    tmp_path: Path, line: dict[str, Any] | str, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        read(tmp_path, GOOD, line)


def test_a_file_without_questions_or_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="has no questions"):
        read(tmp_path, "", " ")
    (tmp_path / "l.jsonl").write_bytes(b'{"a": 1}\n\xe4')
    with pytest.raises(OptionError, match="line 2 is not UTF-8"):
        read_question_lines(tmp_path / "l.jsonl", on_warning=pytest.fail)
    with pytest.raises(OptionError, match="cannot be read"):
        read_question_lines(tmp_path / "none.jsonl", on_warning=pytest.fail)


def test_two_questions_cannot_have_one_id(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="two questions have the id 'x'"):
        read(tmp_path, GOOD | {"id": "x"}, GOOD | {"id": "x", "pages": [9]})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"id": "\ud800"}, "line 2: id has half a surrogate pair"),
        ({"sources": ["Table", "\ud800"]}, "line 2: sources has half a surrogate pair"),
    ],
)
def test_text_that_no_file_can_hold_is_refused(
    tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        read(tmp_path, GOOD, GOOD | wrong)


@pytest.mark.parametrize("grade", [1_000_001, 10**30])
def test_a_grade_beyond_every_scale_is_refused(tmp_path: Path, grade: int) -> None:
    line = {"question": "Who?", "relevant": [{"document": "a.pdf", "page": 1, "grade": grade}]}
    with pytest.raises(OptionError, match="line 1: grade must be at most 1,000,000, found int 10"):
        read(tmp_path, line)
