"""Reads questions from a file of JSON lines: one object a line, with its answering pages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import OptionError
from vdr_integrations.evaluation.judged_question import MOST_GRADE, JudgedQuestion, RelevantPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["json_lines", "read_question_lines", "text_lines", "without_repeats"]


def read_question_lines(path: Path, *, on_warning: Callable[[str], object]) -> list[JudgedQuestion]:
    """The questions of a file.

    Each line is an object with ``question``, and either ``document`` and ``pages`` (1-based
    numbers) or ``relevant``, a list of ``{"document": ..., "page": ..., "grade": ...}``. Optional
    are ``id``, ``language`` and ``sources`` (kinds of evidence). Other keys are ignored.

    Args:
        path: UTF-8, with or without a byte order mark; empty lines are left out.
        on_warning: Called with a sentence about each line that is left out.

    Raises:
        OptionError: The file cannot be read, or a line has another form; it names the line.
    """
    found = [_question(line, number, path) for number, line in json_lines(path)]
    if not found:
        raise OptionError(f"{path} has no questions; write one JSON object a line.")
    return without_repeats(found, path, on_warning=on_warning)


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines, with the numbers of their lines from 1.

    Raises:
        OptionError: The file cannot be read, or a line is not an object; it names the line.
    """
    for number, line in text_lines(path):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"{path} line {number} is not JSON ({error}).") from error
        if not isinstance(found, dict):
            raise OptionError(
                f"{path} line {number} must be a JSON object, found {type(found).__name__}."
            )
        yield number, found


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file that are not blank, with their numbers from 1."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OptionError(f"{path} cannot be read ({reason}).") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise OptionError(f"{path} line {line} is not UTF-8 text; convert the file.") from error
    # Not splitlines: U+2028 may stand in a question.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.removesuffix("\r")


def without_repeats(
    questions: list[JudgedQuestion], path: Path, *, on_warning: Callable[[str], object]
) -> list[JudgedQuestion]:
    """The questions without those that are asked of the same pages before.

    Raises:
        OptionError: Two questions have one id.
    """
    kept: dict[tuple[object, ...], JudgedQuestion] = {}
    ids: set[str] = set()
    for question in questions:
        if question.question_id in ids:
            raise OptionError(f"{path}: two questions have the id {question.question_id!r}.")
        ids.add(question.question_id)
        key = (question.text, frozenset(question.relevant))
        if key in kept:
            on_warning(
                f"{path}: question {question.question_id} is the same as question "
                f"{kept[key].question_id}; it counts once."
            )
        else:
            kept[key] = question
    return list(kept.values())


def _question(line: dict[str, Any], number: int, path: Path) -> JudgedQuestion:
    where = f"{path} line {number}"
    text = _text(line, "question", where)
    if text is None or not text.strip():
        raise OptionError(f"{where}: question must be a text, found nothing.")
    kinds = line.get("sources") or []
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise OptionError(f"{where}: sources must be a list of texts, found {_shown(kinds)}.")
    for kind in kinds:
        _check_utf8(kind, "sources", where)
    relevant = _relevant(line, where)
    if len({(page.document, page.page_number) for page in relevant}) < len(relevant):
        raise OptionError(f"{where}: a relevant page is listed twice; list it once.")
    given_id = line.get("id")
    if given_id is not None and (isinstance(given_id, bool) or not isinstance(given_id, str | int)):
        raise OptionError(f"{where}: id must be a text or a number, found {_shown(given_id)}.")
    question_id = str(number if given_id is None else given_id)
    _check_utf8(question_id, "id", where)
    return JudgedQuestion(
        question_id=question_id,
        text=text.strip(),
        relevant=relevant,
        language=_text(line, "language", where),
        kinds=tuple(dict.fromkeys(kinds)),
    )


def _relevant(line: dict[str, Any], where: str) -> tuple[RelevantPage, ...]:
    document = _text(line, "document", where)
    if "relevant" in line:
        if "pages" in line:
            raise OptionError(f"{where}: give either pages or relevant, found both.")
        entries = line["relevant"]
        if not isinstance(entries, list) or not entries:
            raise OptionError(
                f"{where}: relevant must be a list of pages, found {_shown(entries)}."
            )
        return tuple(_entry(entry, document, where) for entry in entries)
    pages = line.get("pages")
    if not isinstance(pages, list) or not pages:
        raise OptionError(
            f"{where}: pages must be a list of page numbers from 1, found {_shown(pages)}."
        )
    return tuple(
        RelevantPage(_named(document, where), _number(page, "a page", where)) for page in pages
    )


def _entry(entry: object, document: str | None, where: str) -> RelevantPage:
    if not isinstance(entry, dict):
        raise OptionError(
            f"{where}: an entry of relevant must be an object with document and page, found "
            f"{_shown(entry)}."
        )
    own = _text(entry, "document", where)
    return RelevantPage(
        _named(document if own is None else own, where),
        _number(entry.get("page"), "page", where),
        _grade(entry.get("grade", 1), where),
    )


def _grade(found: object, where: str) -> int:
    grade = _number(found, "grade", where)
    if grade > MOST_GRADE:
        raise OptionError(f"{where}: grade must be at most {MOST_GRADE:,}, found {_shown(found)}.")
    return grade


def _named(document: str | None, where: str) -> str:
    if not document:
        raise OptionError(f"{where}: document must name a file, found nothing.")
    return document


def _number(found: object, name: str, where: str) -> int:
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise OptionError(f"{where}: {name} must be a whole number from 1, found {_shown(found)}.")
    return found


def _text(line: dict[str, Any], name: str, where: str) -> str | None:
    found = line.get(name)
    if found is None:
        return None
    if not isinstance(found, str):
        raise OptionError(f"{where}: {name} must be a text, found {_shown(found)}.")
    _check_utf8(found, name, where)
    return found


def _check_utf8(found: str, name: str, where: str) -> None:
    try:
        found.encode()
    except UnicodeEncodeError:
        raise OptionError(f"{where}: {name} has half a surrogate pair; write UTF-8.") from None


def _shown(found: object) -> str:
    return f"{type(found).__name__} {str(found)[:40]}" if found is not None else "nothing"
