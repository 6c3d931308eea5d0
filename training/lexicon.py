"""Words of five languages: how often they occur, how much they weigh, how to draw them."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
from wordfreq import get_frequency_dict

LANGUAGES = ("en", "it", "fr", "de", "es")
WORDS_PER_LANGUAGE = 40_000
RARE_ZIPF = 2.5  # rarer words than this all weigh the same
COMMON_ZIPF = 7.0  # a word this frequent weighs nothing
TOKEN = re.compile(r"\d+(?:[.,/]\d+)*|[^\W\d_]+")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def fold(text: str) -> str:
    """Lower-case ``text`` and strip its accents, as the tokenizer's normaliser does."""
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).lower()


def split_words(text: str) -> list[str]:
    """The folded words and numbers of ``text``; 2.0 and 1,234 are one number each."""
    return TOKEN.findall(fold(text))


def _is_latin_word(word: str) -> bool:
    return all(c in LETTERS or c in "ßæœø" for c in fold(word))


@cache
def frequencies(language: str) -> dict[str, float]:
    """The most frequent words of ``language`` with their relative frequencies."""
    ranked = sorted(get_frequency_dict(language).items(), key=lambda item: -item[1])
    kept = [(word, freq) for word, freq in ranked if _is_latin_word(word)]
    return dict(kept[:WORDS_PER_LANGUAGE])


@cache
def _folded_zipf() -> dict[str, float]:
    zipf: dict[str, float] = {}
    for language in LANGUAGES:
        for word, freq in frequencies(language).items():
            key = fold(word)
            zipf[key] = max(zipf.get(key, 0.0), float(np.log10(freq)) + 9.0)
    return zipf


@cache
def weight(word: str) -> float:
    """How much the folded ``word`` matters to retrieval: near 0 for stop words, 1 for rare words.

    The language of a query is unknown, so the highest frequency over all languages counts.
    """
    if word[0].isdigit():
        return 0.5 if len(word) == 1 else 0.8
    zipf = max(_folded_zipf().get(word, RARE_ZIPF), RARE_ZIPF)
    if len(word) == 1:
        zipf = max(zipf, 6.0)
    return max(0.02, (COMMON_ZIPF - zipf) / (COMMON_ZIPF - RARE_ZIPF))


class Lexicon:
    """Draws words of one language: running text, content words, numbers and invented names."""

    def __init__(self, language: str) -> None:
        table = frequencies(language)
        self.words = np.array(list(table), dtype=object)
        freq = np.array(list(table.values()))
        self._cumulative = {
            power: np.cumsum(freq**power) / np.sum(freq**power) for power in (1.0, 0.5, 0.3)
        }
        content = freq < 10 ** (5.2 - 9)
        self.content = self.words[content]
        self._content_cumulative = np.cumsum(freq[content] ** 0.4)
        self._content_cumulative /= self._content_cumulative[-1]

    def draw(self, rng: np.random.Generator, count: int, power: float = 0.5) -> list[str]:
        """``count`` words, each with probability proportional to its frequency to ``power``."""
        index = np.searchsorted(self._cumulative[power], rng.random(count))
        return list(self.words[np.minimum(index, len(self.words) - 1)])

    def draw_content(self, rng: np.random.Generator, count: int) -> list[str]:
        """``count`` words that are not among the language's most frequent ones."""
        index = np.searchsorted(self._content_cumulative, rng.random(count))
        return list(self.content[np.minimum(index, len(self.content) - 1)])


@cache
def lexicon(language: str) -> Lexicon:
    """The (shared) lexicon of ``language``."""
    return Lexicon(language)


def number(rng: np.random.Generator) -> str:
    """A number as documents print them: a year, a version, an amount, a percentage, a date."""
    kind = rng.integers(6)
    if kind == 0:
        return str(rng.integers(1900, 2040))
    if kind == 1:
        return f"{rng.integers(0, 20)}.{rng.integers(0, 100)}"
    if kind == 2:
        return str(rng.integers(0, 10 ** int(rng.integers(1, 7))))
    if kind == 3:
        return f"{rng.integers(1, 100)}%"
    if kind == 4:
        return f"{rng.integers(1, 1000)},{rng.integers(0, 1000):03d}"
    return f"{rng.integers(1, 32)}/{rng.integers(1, 13)}/{rng.integers(1990, 2030)}"


def invented(rng: np.random.Generator) -> str:
    """A word that no list holds: a name of syllables or a run of random letters."""
    if rng.random() < 0.3:
        return "".join(rng.choice(list(LETTERS), int(rng.integers(2, 9))))
    syllables = int(rng.integers(1, 4))
    return "".join(
        rng.choice(list("bcdfghjklmnpqrstvwxyz"))
        + rng.choice(list("aeiouy"))
        + (rng.choice(list("lmnrst")) if rng.random() < 0.4 else "")
        for _ in range(syllables)
    )
