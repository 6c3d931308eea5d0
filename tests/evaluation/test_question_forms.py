"""Which form of questions a path has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.evaluation.test_beir_folder import write
from tests.evaluation.test_outline_questions import write_outlined

from vdr_integrations.errors import OptionError
from vdr_integrations.evaluation import read_questions

if TYPE_CHECKING:
    from pathlib import Path

LINE = '{"question": "Who?", "document": "a.pdf", "pages": [1]}'


def test_a_folder_with_questions_and_documents_comes_with_its_documents(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "questions.jsonl").write_text(LINE)
    for path in (tmp_path, tmp_path / "questions.jsonl"):
        found = read_questions(path, on_warning=pytest.fail)
        assert len(found.questions) == 1
        assert found.documents == [tmp_path / "documents"]
        assert found.first_pages == {}


def test_a_file_alone_has_no_documents(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(LINE)
    assert list(read_questions(tmp_path / "mine.txt", on_warning=pytest.fail).documents) == []


def test_a_folder_of_the_beir_form_is_known_by_its_files(tmp_path: Path) -> None:
    found = read_questions(write(tmp_path, "q1\ta.pdf#1\t1"), on_warning=pytest.fail)
    assert [one.text for one in found.questions] == ["How much?"]


def test_pdfs_ask_for_their_sections_and_are_their_own_documents(tmp_path: Path) -> None:
    path = write_outlined(tmp_path / "a.pdf")
    for given in (path, tmp_path):
        found = read_questions(given, on_warning=pytest.fail)
        assert found.documents == [given]
        assert list(found.first_pages.values()) == [2]


def test_nothing_at_the_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no such file"):
        read_questions(tmp_path / "none.jsonl", on_warning=pytest.fail)
    with pytest.raises(OptionError, match="no PDF has an outline"):
        read_questions(tmp_path, on_warning=pytest.fail)
