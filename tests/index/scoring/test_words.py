from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdr_integrations.index.scoring.words import MOST_COUNTED, count_words, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Q3-report: 1,204.50 kWh!", ["the", "q3", "report", "1", "204", "50", "kwh"]),
        ("snake_case ___ don't", ["snake", "case", "don", "t"]),
        ("Größe GRÖSSE groesse", ["grosse", "grosse", "groesse"]),
        ("été e\u0301te\u0301 ETE", ["ete", "ete", "ete"]),
        ("¿Cuántos años?", ["cuantos", "anos"]),
        ("\ufb01nal \uff57\uff49\uff44\uff45 m\u00b2", ["final", "wide", "m2"]),
        ("co\u00adoperate \u200fright\u200f", ["cooperate", "right"]),
        ("İstanbul", ["istanbul"]),
        ("Ёлка", ["елка"]),
        ("", []),
        ("... --- §§ \x00\n\ufffd", []),
        ("a\x00b", ["a", "b"]),
    ],
)
def test_a_text_has_these_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("東京都2024年", ["東京", "京都", "2024", "年"]),
        ("ﾃﾞｰﾀ データ", ["デー", "ータ", "デー", "ータ"]),
        ("한국어 문서", ["한국", "국어", "문서"]),
        ("GDPは増加", ["gdp", "は増", "増加"]),
        ("ภาษา", ["ภา", "าษ", "ษา"]),
    ],
)
def test_scripts_without_spaces_are_cut_into_pairs(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("with_marks", "without"), [("שָׁלוֹם", "שלום"), ("كِتَابٌ", "كتاب"), ("كـتـاب", "كتاب")]
)
def test_vowel_marks_make_no_difference(with_marks: str, without: str) -> None:
    assert words_of(with_marks) == words_of(without) == [without]


def test_vowel_signs_of_indic_scripts_do_not_cut_words() -> None:
    assert len(words_of("हिन्दी भाषा")) == 2
    assert words_of("कि") != words_of("की")


@settings(max_examples=50)
@given(st.text())
def test_the_words_of_any_text_are_counted_once_each(text: str) -> None:
    words = words_of(text)
    assert all(word.strip() == word != "" for word in words)
    counted = count_words(text)
    assert counted.counts.sum() == len(words)
    assert len(counted.keys) == len(set(words))
    assert (counted.keys[1:] > counted.keys[:-1]).all()


def test_large_texts_are_counted_to_a_limit() -> None:
    counted = count_words("ant " * 300_000 + "x" * 1_000_000)
    assert sorted(counted.counts.tolist()) == [1, MOST_COUNTED]
    assert (counted.keys.dtype, counted.counts.dtype) == (np.uint64, np.uint16)


def test_half_a_surrogate_pair_is_no_word_of_its_own() -> None:
    assert words_of("ant\ud83d bee") == ["ant", "bee"]
