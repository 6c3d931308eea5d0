"""BM25 over all pages of an index. Nothing is read before the first text search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.scoring.bm25 import (
    K1,
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

__all__ = ["TextSearch"]

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
        damping: The saturation term of each page, float64 (pages,).
    """

    index_id: str
    rows: NDArray[np.int64]
    parts: tuple[_Part, ...]
    indices: tuple[NDArray[np.intp], ...]
    lengths: NDArray[np.int64]
    with_text: int
    damping: NDArray[np.float64]


class TextSearch:
    """Scores pages by the words of a question, and keeps the lists in memory.

    Safe to call from any thread: two threads may make the same lists, and one of them is kept.
    """

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._state: _State | None = None

    def scores(
        self,
        text: str,
        pages: NDArray[np.intp],
        *,
        index_id: str,
        rows: NDArray[np.int64],
        read: ReadWords,
    ) -> TextScores:
        """BM25 of a question with pages; see ``scoring/bm25.py`` for the definition.

        Args:
            text: The question.
            pages: Pages to score, as indices of ``rows``.
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
        scores = np.zeros(len(rows), np.float64)
        asked = count_words(text)
        found = [part.lists.find(asked.keys) for part in state.parts]
        for word, times in enumerate(asked.counts.tolist()):
            indices, counts = _having(state, [places[word] for places in found])
            if len(indices):
                weight = times * inverse_frequency(state.with_text, having=len(indices))
                scores[indices] += weight * (K1 + 1) * (counts / (counts + state.damping[indices]))
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
    mean = float(lengths.sum()) / max(with_text, 1)
    damping = saturation(lengths, mean=mean or 1.0)
    return _State(index_id, rows, parts, tuple(indices), lengths, with_text, damping)


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
