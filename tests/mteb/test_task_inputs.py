"""Batches of mteb: questions and pages, and what is neither."""

from __future__ import annotations

import re
from typing import Any

import pytest

from vdr_integrations.errors import OptionError
from vdr_integrations.mteb.task_inputs import TaskInputs, read_inputs


def read(role: str | None, *batches: dict[str, list[Any]]) -> TaskInputs:
    return read_inputs(batches, role=role, task="Reports", model="nano")


def test_questions_of_all_batches_come_in_their_order() -> None:
    found = read("query", {"id": ["1", "2"], "text": ["a", "b"]}, {"id": ["3"], "text": ["c"]})
    assert (found.kind, list(found.items)) == ("questions", ["a", "b", "c"])


def test_of_a_document_with_image_and_text_the_image_is_read() -> None:
    found = read("document", {"id": ["1"], "text": ["a"], "image": ["picture"]})
    assert (found.kind, list(found.items)) == ("pages", ["picture"])


@pytest.mark.parametrize(("column", "kind"), [("image", "pages"), ("text", "questions")])
def test_without_roles_images_are_pages_and_texts_are_questions(column: str, kind: str) -> None:
    found = read(None, {column: ["one"]})
    assert (found.kind, list(found.items)) == (kind, ["one"])


@pytest.mark.parametrize("role", ["query", "document", None])
def test_no_batches_are_no_items(role: str | None) -> None:
    assert list(read(role).items) == []


def test_batches_are_read_one_at_a_time() -> None:
    taken: list[int] = []

    def batches() -> Any:
        for number in range(3):
            taken.append(number)
            yield {"image": [number]}

    items = read_inputs(batches(), role="document", task="Reports", model="nano").items
    assert next(items) == 0
    assert taken == [0]


@pytest.mark.parametrize(
    ("role", "batch", "message"),
    [
        ("document", {"text": ["a"]}, "documents of Reports are text; nano finds pictures"),
        ("document", {"audio": ["a"]}, "documents of Reports are audio;"),
        ("query", {"image": ["a"]}, "questions of Reports are image; nano is asked with texts"),
        ("query", {"image": ["a"], "text": ["b"]}, "questions of Reports are image and text;"),
        (None, {"image": ["a"], "text": ["b"]}, "inputs of Reports are image and text;"),
        ("query", {"id": ["1"]}, "questions of Reports are of no kind that mteb names;"),
    ],
)
def test_what_is_neither_question_nor_page_is_refused(
    role: str | None, batch: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        read(role, batch)
