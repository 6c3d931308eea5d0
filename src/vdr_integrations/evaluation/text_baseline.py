"""BM25 over the text layers of pages: what a search without pictures finds. Pure arithmetic."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["text_ranking"]

_K1 = 1.5
_B = 0.75
"""The values of bm25s and of most search engines (Manning et al., 2008, section 11.4.3)."""

_WORD = re.compile(r"\w+")


def text_ranking(questions: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
    """BM25 scores of pages for questions, in Lucene's variant.

    Words are lower-cased runs of letters and digits. A word of a question counts once. Numbers of
    pages and lengths are those of the given texts, so a search within a document knows only it.

    Args:
        questions: In plain words.
        texts: Text layers of the pages; empty for scans.

    Returns:
        float32 (questions, pages), at least 0; a page without a word of the question has 0.
    """
    counted = [Counter(_WORD.findall(text.lower())) for text in texts]
    lengths = np.array([count.total() for count in counted], np.float64)
    usual = _K1 * (1 - _B + _B * lengths / max(lengths.mean() if len(texts) else 0.0, 1.0))
    places: dict[str, list[int]] = defaultdict(list)
    for number, count in enumerate(counted):
        for word in count:
            places[word].append(number)
    scores = np.zeros((len(questions), len(texts)))
    for row, question in zip(scores, questions, strict=True):
        for word in dict.fromkeys(_WORD.findall(question.lower())):
            on = places.get(word, [])
            often = np.array([counted[number][word] for number in on], np.float64)
            rarity = math.log(1 + (len(texts) - len(on) + 0.5) / (len(on) + 0.5))
            row[on] += rarity * often / (often + usual[on])
    return scores.astype(np.float32)
