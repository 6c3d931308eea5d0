from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from vdr_integrations.index.scoring.text_search import TextSearch
from vdr_integrations.index.scoring.words import WordCounts, count_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PAGES = 6000
QUESTION = "ant bee bee fox"


class Pages:
    """Pages with rows, and how many of them were read."""

    def __init__(self) -> None:
        chance = np.random.default_rng(0)
        names = np.array(["ant", "bee", "cat", "dog", "eel", "fox", ""])
        self._words = [count_words(" ".join(row)) for row in chance.choice(names, size=(PAGES, 4))]
        self.read = 0

    def scores(self, search: TextSearch, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        def read(indices: NDArray[np.intp]) -> Iterator[WordCounts]:
            self.read += len(indices)
            return (self._words[row] for row in rows[indices].tolist())

        pages = np.arange(len(rows))
        asked = search.asked(QUESTION, index_id="one", rows=rows, read=read)
        found = asked.scores(pages, asked.corpus)
        assert len(found.pages) == len(found.scores) > 0.9 * len(rows)
        return found.scores


def test_lists_that_follow_changes_give_the_scores_of_new_lists() -> None:
    pages, search, chance = Pages(), TextSearch(), np.random.default_rng(1)
    alive = np.arange(0, dtype=np.int64)
    for end in (5, 5, 700, 1800, 1900, 4000, 4100, PAGES):
        kept = alive[chance.random(len(alive)) > 0.1]
        alive = np.union1d(kept, np.arange(alive.max(initial=-1) + 1, end))
        followed = pages.scores(search, alive)
        assert followed.tolist() == pytest.approx(pages.scores(TextSearch(), alive).tolist())


def test_only_new_pages_are_read_again() -> None:
    pages, search = Pages(), TextSearch()
    rows = np.arange(4000, dtype=np.int64)
    pages.scores(search, rows)
    assert pages.read == 4000
    pages.scores(search, rows)
    assert pages.read == 4000
    pages.scores(search, rows[5:])
    assert pages.read == 4000
    pages.scores(search, np.arange(5, 4100, dtype=np.int64))
    assert pages.read == 4100


def test_an_older_state_is_scored_with_its_own_pages() -> None:
    pages, search = Pages(), TextSearch()
    older, newer = np.arange(50, dtype=np.int64), np.arange(20, 80, dtype=np.int64)
    pages.scores(search, newer)
    assert pages.scores(search, older).tolist() == pages.scores(TextSearch(), older).tolist()
