"""Folders of the BEIR form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from vdr_integrations.errors import OptionError
from vdr_integrations.evaluation.beir_folder import is_beir_folder, read_beir_folder
from vdr_integrations.evaluation.judged_question import RelevantPage

if TYPE_CHECKING:
    from pathlib import Path

HEADING = "query-id\tcorpus-id\tscore"


def write(
    folder: Path,
    *judgements: str,
    queries: tuple[dict[str, Any], ...] = ({"_id": "q1", "text": "How much?"},),
    corpus: tuple[dict[str, Any], ...] = (),
) -> Path:
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("\r\n".join(judgements), encoding="utf-8-sig")
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)), encoding="utf-8")
    if corpus:
        (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)), encoding="utf-8")
    return folder


def test_an_id_of_the_corpus_names_document_and_page(tmp_path: Path) -> None:
    folder = write(tmp_path, HEADING, "q1\ta#b.pdf#3\t2", "q1\ta#b.pdf#4\t0", "q1\tc.pdf#1\t1")
    assert is_beir_folder(folder)
    (question,) = read_beir_folder(folder, on_warning=pytest.fail)
    assert (question.question_id, question.text) == ("q1", "How much?")
    assert question.relevant == (RelevantPage("a#b.pdf", 3, 2), RelevantPage("c.pdf", 1, 1))


def test_the_corpus_can_map_its_ids_to_pages(tmp_path: Path) -> None:
    corpus = ({"_id": "17", "document": "a.pdf", "page": 5}, {"_id": "b.pdf#2", "text": "words"})
    folder = write(tmp_path, "q1\t17\t1", "q1\tb.pdf#2\t1", corpus=corpus)
    (question,) = read_beir_folder(folder, on_warning=pytest.fail)
    assert question.relevant == (RelevantPage("a.pdf", 5), RelevantPage("b.pdf", 2))


def test_queries_without_judgements_and_judgements_without_queries_are_named(
    tmp_path: Path,
) -> None:
    queries = ({"_id": "q1", "text": "How much?"}, {"_id": "q2", "text": "Who?"})
    warnings: list[str] = []
    folder = write(tmp_path, HEADING, "q1\ta.pdf#1\t1", "q9\ta.pdf#1\t1", queries=queries)
    (question,) = read_beir_folder(folder, on_warning=warnings.append)
    assert question.question_id == "q1"
    assert "1 queries have no relevant page" in warnings[0]
    assert "such as q9" in warnings[1]


@pytest.mark.parametrize(
    ("judgement", "message"),
    [
        ("q1 a.pdf#1 1", "line 2: found 1 fields"),
        ("q1\ta.pdf#1\thigh", "line 2: score must be a whole number, found 'high'"),
        (f"q1\ta.pdf#1\t{10**25}", "line 2: score must be at most 1,000,000, found '1000"),
        ("q1\ta.pdf#1\t1000001", "line 2: score must be at most 1,000,000, found '1000001'"),
        ("q1\ta.pdf\t1", "line 2: 'a.pdf' names no page"),
        ("q1\ta.pdf#0\t1", "line 2: 'a.pdf#0' names no page"),
        ("q1\t#4\t1", "line 2: '#4' names no page"),
        ("q1\ta.pdf#1\t1\nq1\ta.pdf#1\t2", "line 3: a.pdf#1 has two scores"),
        ("q1\ta.pdf#1\t0", "no query with a relevant page"),
    ],
)
def test_a_wrong_judgement_is_refused(tmp_path: Path, judgement: str, message: str) -> None:
    folder = write(tmp_path, HEADING, judgement)
    with pytest.raises(OptionError, match=message):
        read_beir_folder(folder, on_warning=list[str]().append)


def test_a_wrong_query_or_corpus_entry_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    folder = write(tmp_path / "a", "q1\ta.pdf#1\t1", queries=({"_id": 1, "text": "Who?"},))
    with pytest.raises(OptionError, match=r"queries\.jsonl line 1: _id and text must be texts"):
        read_beir_folder(folder, on_warning=pytest.fail)
    corpus = ({"_id": "x", "document": "a.pdf", "page": "3"},)
    folder = write(tmp_path / "b", "q1\tx\t1", corpus=corpus)
    with pytest.raises(OptionError, match=r"corpus\.jsonl line 1: .* whole number from 1"):
        read_beir_folder(folder, on_warning=pytest.fail)
