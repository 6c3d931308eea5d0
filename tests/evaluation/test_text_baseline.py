"""BM25 over text layers."""

from __future__ import annotations

import math

import pytest

from vdr_integrations.evaluation import text_ranking

TEXTS = ["Apples are red. Red!", "pears are green", "", "cherries"]


def test_a_score_is_that_of_the_formula() -> None:
    (scores,) = text_ranking(["RED red are"], TEXTS)
    usual = 2.0  # mean of 4, 3, 0 and 1 words

    def part(often: int, length: int, pages: int) -> float:
        rarity = math.log(1 + (4 - pages + 0.5) / (pages + 0.5))
        return rarity * often / (often + 1.5 * (0.25 + 0.75 * length / usual))

    assert scores[0] == pytest.approx(part(2, 4, 1) + part(1, 4, 2))
    assert scores[1] == pytest.approx(part(1, 3, 2))
    assert scores[2:].tolist() == [0, 0]


def test_pages_without_a_word_of_the_question_score_zero() -> None:
    assert text_ranking(["plums", "?!"], TEXTS).tolist() == [[0.0] * 4] * 2
    assert text_ranking(["apples"], ["", ""]).tolist() == [[0.0, 0.0]]
    assert text_ranking(["apples"], []).shape == (1, 0)
    assert text_ranking([], TEXTS).shape == (0, 4)
