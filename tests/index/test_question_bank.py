"""What a question bank is made of, and what is refused before anything is encoded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from vdr_integrations import MultiVectorEncoder
from vdr_integrations.errors import InvalidVectorError, OptionError
from vdr_integrations.index import QuestionBank

UNIT = np.eye(3, 8, dtype=np.float32)


@pytest.fixture(scope="module")
def encoder() -> MultiVectorEncoder:
    return MultiVectorEncoder.load("nano-colqwen2")


@pytest.mark.parametrize("questions", [5, None, "How many?", b"How many?"])
def test_a_bank_needs_a_list_of_questions(encoder: MultiVectorEncoder, questions: Any) -> None:
    with pytest.raises(OptionError, match="needs a list of questions, found"):
        QuestionBank.of(encoder, questions)


@pytest.mark.parametrize("questions", [[1, "a"], ["a", None], [["a"]]])
def test_each_question_is_a_text(encoder: MultiVectorEncoder, questions: Any) -> None:
    with pytest.raises(OptionError, match="must be a string, found"):
        QuestionBank.of(encoder, questions)


def test_too_many_questions_are_refused_before_they_are_encoded(
    encoder: MultiVectorEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encoded(*_: object) -> None:
        pytest.fail("the questions were encoded")

    monkeypatch.setattr(MultiVectorEncoder, "encode_queries", encoded)
    with pytest.raises(OptionError, match="at most 8192 tokens, found"):
        QuestionBank.of(encoder, [f"Question {number}?" for number in range(3000)])


@pytest.mark.parametrize("strength", [True, "1", None, math.nan, math.inf, -1, 2.1, 10**400, [1]])
def test_a_strength_is_a_number_up_to_two(strength: Any) -> None:
    with pytest.raises(OptionError, match="correction must be a number from 0"):
        QuestionBank(UNIT.astype(np.float16), strength)


def test_a_bank_holds_what_an_index_stores() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    bank = QuestionBank(rows, np.float32(0.5))  # pyright: ignore[reportArgumentType]  # a number of numpy
    again = QuestionBank.of_bytes(bank.to_bytes(), bank.correction, dimension=8)
    assert again is not None
    assert bank.vectors.dtype == np.float16
    assert type(bank.strength) is float
    assert again.bias(rows) == bank.bias(rows)


@pytest.mark.parametrize("rows", [np.zeros((2, 8), np.float32), 3 * UNIT])
def test_vectors_of_another_length_than_one_are_refused(rows: Any) -> None:
    with pytest.raises(InvalidVectorError, match="the question bank: the vector in row 0"):
        QuestionBank(rows)
