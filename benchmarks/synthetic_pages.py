"""Token vectors of generated pages that resemble each other as real pages do.

Pages of one topic share its words; all pages share the prompt, a common direction and a background.
Neighbouring cells repeat a word, because a word or an image covers several cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.types import PatchGrid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["SyntheticPages"]

_WORDS = 4000
_WORDS_OF_TOPIC = 150
_PROMPT = 8


class SyntheticPages:
    """Pages and queries over one vocabulary.

    Attributes:
        grid: The same for all pages.
    """

    def __init__(
        self, *, rows: int = 28, columns: int = 26, topics: int = 40, dimension: int = 128
    ) -> None:
        """Draw the vocabulary; everything follows from a fixed seed."""
        self.grid = PatchGrid(first=_PROMPT // 2, rows=rows, columns=columns)
        self._random = np.random.default_rng(0)
        self._dimension = dimension
        self._common = self._units(1)[0]
        self._words = self._units(_WORDS)
        self._topics = [
            self._random.choice(_WORDS, _WORDS_OF_TOPIC, replace=False) for _ in range(topics)
        ]
        self._prompt = self._units(_PROMPT)

    def pages(self, count: int) -> Iterator[NDArray[np.float32]]:
        """float32 (tokens, dimension) of each page, rows of length 1."""
        cells = self.grid.cells
        for _ in range(count):
            topic = self._topics[self._random.integers(len(self._topics))]
            words = np.where(
                self._random.random(cells) < 0.7,
                self._random.choice(topic, cells),
                self._random.integers(_WORDS, size=cells),
            )
            for cell in np.flatnonzero(self._random.random(cells) < 0.5):
                words[cell] = words[cell - 1]
            visual = self._words[words] + 0.6 * self._common + self._noise(cells, 0.7)
            empty = self._random.random(cells) < 0.3
            visual[empty] = self._common + self._noise(int(empty.sum()), 0.6)
            prompt = _unit(self._prompt + self._noise(_PROMPT, 0.2))
            first = self.grid.first
            yield np.vstack([prompt[:first], _unit(visual), prompt[first:]]).astype(np.float32)

    def query(self) -> NDArray[np.float32]:
        """float32 (21, dimension): 8 words of a topic, 10 augmentation tokens, 3 of the prompt."""
        topic = self._topics[self._random.integers(len(self._topics))]
        words = self._words[self._random.choice(topic, 8)]
        asked = words + 0.6 * self._common + self._noise(8, 1.0)
        augmented = self._common + 0.5 * self._words[self._random.choice(topic, 10)]
        augmented = augmented + self._noise(10, 0.6)
        prompt = self._prompt[:3] + self._noise(3, 0.3)
        return _unit(np.vstack([asked, augmented, prompt])).astype(np.float32)

    def _units(self, count: int) -> NDArray[np.float64]:
        return _unit(self._random.normal(size=(count, self._dimension)))

    def _noise(self, count: int, length: float) -> NDArray[np.float64]:
        return length * self._random.normal(size=(count, self._dimension)) / self._dimension**0.5


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
