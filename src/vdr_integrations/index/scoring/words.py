"""The words of a text, as searches of text layers compare them. Pure.

- Upper and lower case, accents, ligatures and wide forms make no difference: a question that is
  typed without accents finds the same pages. Vowel marks of Hebrew and Arabic count as accents;
  the vowel signs of Indic scripts are parts of their words.
- Everything that is neither a letter, a digit nor a mark separates words, also ``_``.
- Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese are cut into pairs of neighbouring
  characters, because spaces do not separate their words, or separate them otherwise. A character
  that stands alone is a word.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST_COUNTED", "WORDS_VERSION", "WordCounts", "count_words", "words_of"]

WORDS_VERSION = 1
"""Raise it when another rule gives other words: stored counts of an older version are not used."""
MOST_COUNTED = 2**16 - 1
"""A word that a page has more often counts as often as this."""

_ASCII_WORDS = re.compile(r"[a-z0-9]+")
_DROPPED = re.compile(
    "["
    "\u0300-\u036f"  # accents
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew vowels and accents
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc"  # Arabic vowels, and the long stroke
    "\u00ad\u200c-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"  # without a shape
    "]+"
)
_SPACELESS = re.compile(
    "(["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f"  # Burmese
    "\u1780-\u17ff"  # Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Chinese characters
    "\uac00-\ud7a3"  # Korean
    "]+)"
)
_FIRST_MARK, _BEHIND_MARKS = 0x0483, 0x1E000


class WordCounts(NamedTuple):
    """How often a text has each of its words.

    Attributes:
        keys: The words as 64-bit digests, ascending: uint64 (words,).
        counts: uint16 (words,), at most :data:`MOST_COUNTED`.
    """

    keys: NDArray[np.uint64]
    counts: NDArray[np.uint16]


def count_words(text: str) -> WordCounts:
    """Count the words of a text."""
    found = Counter(words_of(text))
    digests = b"".join(
        hashlib.blake2b(word.encode(errors="replace"), digest_size=8).digest() for word in found
    )
    keys = np.frombuffer(digests, "<u8").astype(np.uint64)
    counts = np.fromiter(found.values(), np.int64, len(found))
    order = np.argsort(keys)
    return WordCounts(keys[order], np.minimum(counts[order], MOST_COUNTED).astype(np.uint16))


def words_of(text: str) -> list[str]:
    """The words of a text, in the order of the text."""
    if text.isascii():
        return _ASCII_WORDS.findall(text.lower())
    folded = unicodedata.normalize("NFKD", text).casefold()
    folded = unicodedata.normalize("NFKC", _DROPPED.sub("", folded)).replace("_", " ")
    runs: list[str] = _runs().findall(folded)
    if not _SPACELESS.search(folded):
        return runs
    return [word for run in runs for part in _SPACELESS.split(run) if part for word in _cut(part)]


def _cut(part: str) -> list[str]:
    if len(part) < 2 or not _SPACELESS.match(part):
        return [part]
    return [part[place : place + 2] for place in range(len(part) - 1)]


@cache
def _runs() -> re.Pattern[str]:
    r"""Letters, digits and marks. ``\w`` alone would cut Indic words at their vowel signs."""
    marks = "".join(
        character
        for character in map(chr, range(_FIRST_MARK, _BEHIND_MARKS))
        if unicodedata.category(character).startswith("M")
    )
    return re.compile(rf"[\w{marks}]+")
