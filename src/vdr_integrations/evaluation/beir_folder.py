"""Reads questions from a folder of the BEIR form: queries, judgements and a corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError
from vdr_integrations.evaluation.judged_question import MOST_GRADE, JudgedQuestion, RelevantPage
from vdr_integrations.evaluation.question_lines import json_lines, text_lines, without_repeats

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["is_beir_folder", "read_beir_folder"]

_QUERIES = "queries.jsonl"
_CORPUS = "corpus.jsonl"
_JUDGEMENTS = "qrels/test.tsv"

_Pages = dict[str, tuple[str, int]]


def is_beir_folder(path: Path) -> bool:
    """Whether a folder holds ``queries.jsonl`` and ``qrels/test.tsv``."""
    return (path / _QUERIES).is_file() and (path / _JUDGEMENTS).is_file()


def read_beir_folder(folder: Path, *, on_warning: Callable[[str], object]) -> list[JudgedQuestion]:
    """The questions of a folder.

    - ``queries.jsonl``: ``{"_id": ..., "text": ...}``, optionally ``language``.
    - ``qrels/test.tsv``: a heading, then ``query-id``, ``corpus-id`` and ``score``, separated with
      tabs. A score of 0 says that a page is not relevant.
    - ``corpus.jsonl``, optional: ``{"_id": ..., "document": "report.pdf", "page": 3}``. An id that
      it does not list must be ``report.pdf#3``.

    Args:
        folder: See :func:`is_beir_folder`.
        on_warning: Called with a sentence about queries that are left out.

    Raises:
        OptionError: A file cannot be read, or a line has another form; it names the line.
    """
    pages = _corpus(folder / _CORPUS)
    relevant = _judgements(folder / _JUDGEMENTS, pages)
    questions: list[JudgedQuestion] = []
    unjudged = 0
    for number, line in json_lines(folder / _QUERIES):
        query_id, text = line.get("_id"), line.get("text")
        if not isinstance(query_id, str) or not isinstance(text, str) or not text.strip():
            raise OptionError(
                f"{folder / _QUERIES} line {number}: _id and text must be texts, found "
                f"{query_id!r} and {str(text)[:40]!r}."
            )
        if query_id not in relevant:
            unjudged += 1
            continue
        language = line.get("language")
        questions.append(
            JudgedQuestion(
                query_id,
                text.strip(),
                tuple(relevant.pop(query_id).values()),
                language if isinstance(language, str) else None,
            )
        )
    if unjudged:
        on_warning(f"{folder}: {unjudged} queries have no relevant page in {_JUDGEMENTS}.")
    if relevant:
        on_warning(
            f"{folder}: {len(relevant)} queries of {_JUDGEMENTS} are not in {_QUERIES}, such as "
            f"{next(iter(relevant))}."
        )
    if not questions:
        raise OptionError(f"{folder} has no query with a relevant page.")
    return without_repeats(questions, folder, on_warning=on_warning)


def _corpus(path: Path) -> _Pages:
    if not path.is_file():
        return {}
    pages: _Pages = {}
    for number, line in json_lines(path):
        page_id, document, page = line.get("_id"), line.get("document"), line.get("page")
        if document is None and page is None:
            continue  # its id names the page
        if (
            not isinstance(page_id, str)
            or not isinstance(document, str)
            or not isinstance(page, int)
            or isinstance(page, bool)
            or page < 1
        ):
            raise OptionError(
                f"{path} line {number}: _id and document must be texts and page a whole number "
                f"from 1, found {page_id!r}, {document!r} and {page!r}."
            )
        pages[page_id] = (document, page)
    return pages


def _judgements(path: Path, pages: _Pages) -> dict[str, dict[tuple[str, int], RelevantPage]]:
    relevant: dict[str, dict[tuple[str, int], RelevantPage]] = {}
    for place, (number, line) in enumerate(text_lines(path)):
        where = f"{path} line {number}"
        fields = line.split("\t")
        if len(fields) != 3:
            raise OptionError(
                f"{where}: found {len(fields)} fields; write query-id, corpus-id and score with "
                f"tabs between them."
            )
        query_id, page_id, score = (field.strip() for field in fields)
        if place == 0 and not score.removeprefix("-").isdecimal():
            continue  # the heading
        if not score.removeprefix("-").isdecimal():
            raise OptionError(f"{where}: score must be a whole number, found {score[:40]!r}.")
        if len(score) > 20 or int(score) > MOST_GRADE:
            raise OptionError(
                f"{where}: score must be at most {MOST_GRADE:,}, found {score[:40]!r}."
            )
        if int(score) > 0:
            key = pages.get(page_id) or _page_of_id(page_id, where)
            graded = RelevantPage(*key, int(score))
            if relevant.setdefault(query_id, {}).setdefault(key, graded) != graded:
                raise OptionError(f"{where}: {page_id} has two scores for query {query_id}.")
    return relevant


def _page_of_id(page_id: str, where: str) -> tuple[str, int]:
    document, separator, number = page_id.rpartition("#")
    if not separator or not document or not number.isdecimal() or int(number) < 1:
        raise OptionError(
            f"{where}: {page_id[:80]!r} names no page; write report.pdf#3, or list it in {_CORPUS} "
            f"with document and page."
        )
    return document, int(number)
