"""BM25 by its definition, for texts whose words are separated by spaces."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    Place: TypeAlias = tuple[str, int]

__all__ = ["plain_bm25"]


def plain_bm25(texts: Mapping[Place, str], question: str) -> dict[Place, float]:
    """The scores of all pages with text; 0 for a page that has no word of the question.

    Args:
        texts: Texts of all pages of the index by source and page number.
        question: Words, also repeated ones.
    """
    pages = {place: text.split() for place, text in texts.items() if text.split()}
    mean = sum(map(len, pages.values())) / max(len(pages), 1)
    scores = dict.fromkeys(pages, 0.0)
    for word in question.split():
        having = sum(word in words for words in pages.values())
        idf = math.log(1 + (len(pages) - having + 0.5) / (having + 0.5))
        for place, words in pages.items():
            times = words.count(word)
            scores[place] += (
                idf * times * (1.5 + 1) / (times + 1.5 * (1 - 0.75 + 0.75 * len(words) / mean))
            )
    return scores
