"""BM25 over all pages of an index. Nothing is read before the first text search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.scoring.bm25 import (
    K1,
    Corpus,
    TextScores,
    WordLists,
    inverse_frequency,
    saturation,
)
from vdr_integrations.index.scoring.words import count_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from numpy.typing import NDArray

    from vdr_integrations.index.scoring.words import WordCounts

    ReadWords: TypeAlias = Callable[[NDArray[np.intp]], Iterable[WordCounts]]
    """Returns the words of pages of a state, given as ascending indices."""

__all__ = ["AskedWords", "TextSearch"]

_TAIL_PAGES = 1024
_TAIL_SHARE = 0.25
"""Lists of all pages are made again when more new pages than both have no list there, or when more
than this share of the pages in it are gone; lists of fewer new pages are made for each state."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Lists of pages with these rows: int64 (pages,), ascending."""

    rows: NDArray[np.int64]
    lists: WordLists


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """The lists as one state of the index sees them.

    Attributes:
        index_id: Id of the index.
        rows: Rows of all pages of the state.
        parts: Lists of all pages, then lists of new pages.
        indices: For each part, the index of each of its pages in the state; -1 if it is gone.
        lengths: Number of words of each page of the state, int64 (pages,).
        with_text: Number of pages with at least one word.
        words: Number of their words.
    """

    index_id: str
    rows: NDArray[np.int64]
    parts: tuple[_Part, ...]
    indices: tuple[NDArray[np.intp], ...]
    lengths: NDArray[np.int64]
    with_text: int
    words: int


class TextSearch:
    """Finds the words of a question on the pages of an index, and keeps the lists in memory.

    Safe to call from any thread: two threads may make the same lists, and one of them is kept.
    """

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._state: _State | None = None
        self._damping: tuple[_State, float, NDArray[np.float64]] | None = None

    def asked(
        self,
        text: str,
        *,
        index_id: str,
        rows: NDArray[np.int64],
        read: ReadWords,
    ) -> AskedWords:
        """The words of a question on all pages of the index.

        Args:
            text: The question.
            index_id: Id of the index.
            rows: A number of each page of the index, int64 (pages,), ascending. The number of a
                page never changes, is never used again, and is larger than those of older pages.
                While the pages stay the same, give the same array.
            read: Reads the words of pages that were not asked about before.

        Raises:
            Exception: Whatever ``read`` raises.
        """
        state = self._state
        if state is None or state.rows is not rows or state.index_id != index_id:
            before = None if state is None or state.index_id != index_id else state
            state = _state_of(index_id, rows, _parts(rows, before, read))
            self._state = state
        asked = count_words(text)
        found = [part.lists.find(asked.keys) for part in state.parts]
        having = [
            _having(state, [places[word] for places in found]) for word in range(len(asked.keys))
        ]
        return AskedWords(self, state, asked.counts.tolist(), having)

    def damping(self, state: _State, mean: float) -> NDArray[np.float64]:
        """The saturation term of each page, float64 (pages,), kept while the mean is the same."""
        kept = self._damping
        if kept is None or kept[0] is not state or kept[1] != mean:
            kept = self._damping = (state, mean, saturation(state.lengths, mean=mean))
        return kept[2]


class AskedWords:
    """The words of one question on the pages of one state of an index.

    Attributes:
        corpus: What the state adds to the numbers that the scores of all pages depend on.
    """

    def __init__(
        self,
        search: TextSearch,
        state: _State,
        times: list[int],
        having: list[tuple[NDArray[np.intp], NDArray[np.float64]]],
    ) -> None:
        """Use :meth:`TextSearch.asked`."""
        self._search, self._state, self._times, self._having = search, state, times, having
        counts = np.array([len(indices) for indices, _ in having], np.int64)
        self.corpus = Corpus(state.with_text, state.words, counts)

    def scores(self, pages: NDArray[np.intp], corpus: Corpus) -> TextScores:
        """BM25 of the question with pages; see ``scoring/bm25.py`` for the definition.

        Args:
            pages: Pages to score, as indices of the state.
            corpus: The numbers of all pages that are searched, also of other indexes.
        """
        state = self._state
        damping = self._search.damping(state, corpus.mean)
        scores = np.zeros(len(state.rows), np.float64)
        words = zip(self._times, self._having, corpus.having.tolist(), strict=True)
        for times, (indices, counts), having in words:
            if len(indices):
                weight = times * inverse_frequency(corpus.pages, having=having)
                scores[indices] += weight * (K1 + 1) * (counts / (counts + damping[indices]))
        pages = pages[state.lengths[pages] > 0]
        return TextScores(pages, scores[pages])


def _parts(rows: NDArray[np.int64], before: _State | None, read: ReadWords) -> tuple[_Part, ...]:
    """The lists for these pages, made with as few of their words as possible."""
    if before is not None:
        main = before.parts[0]
        known = len(main.rows)
        kept = int(np.searchsorted(rows, main.rows[-1] + 1)) if known else 0
        fresh = np.arange(kept, len(rows))
        if (
            len(fresh) <= max(_TAIL_PAGES, _TAIL_SHARE * known)
            and known - kept <= _TAIL_SHARE * known
            # Another thread may ask about an older state, with pages that are gone now.
            and bool(np.isin(rows[:kept], main.rows, assume_unique=True).all())
        ):
            if not len(fresh):
                return (main,)
            last = before.parts[-1]
            if len(before.parts) > 1 and np.array_equal(last.rows, rows[fresh]):
                return before.parts
            return main, _Part(rows[fresh], WordLists.of(read(fresh)))
    return (_Part(rows, WordLists.of(read(np.arange(len(rows))))),)


def _state_of(index_id: str, rows: NDArray[np.int64], parts: tuple[_Part, ...]) -> _State:
    lengths = np.zeros(len(rows), np.int64)
    indices: list[NDArray[np.intp]] = []
    for part in parts:
        places = np.searchsorted(rows, part.rows)
        there = places < len(rows)
        there[there] = rows[places[there]] == part.rows[there]
        places[~there] = -1
        lengths[places[there]] = part.lists.lengths[there]
        indices.append(places)
    with_text = int((lengths > 0).sum())
    return _State(index_id, rows, parts, tuple(indices), lengths, with_text, int(lengths.sum()))


def _having(
    state: _State, places: list[tuple[int, int]]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The pages that have a word, as indices of the state, and how often they have it.

    Args:
        state: The lists.
        places: Begin and end of the word's list in each part.
    """
    indices: list[NDArray[np.intp]] = []
    counts: list[NDArray[np.uint16]] = []
    for part, of_part, (begin, end) in zip(state.parts, state.indices, places, strict=True):
        found = of_part[part.lists.pages[begin:end]]
        there = found >= 0
        indices.append(found[there])
        counts.append(part.lists.counts[begin:end][there])
    return np.concatenate(indices), np.concatenate(counts).astype(np.float64)
