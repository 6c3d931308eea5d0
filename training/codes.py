"""Codes: what a printed word adds to the dense vector, and the space both towers meet in.

A word's code is a sum over its characters of a small network's output for the three characters
around each. The network is fitted to a kernel: the codes of two words have the inner product
that their shared character 3- to 5-grams and weights ask for. A page's vector is the sum of its
words' codes times their printed area, a query's is the sum of its words' codes. So neither tower
needs the other one to know what to learn, and a code can be read off a few neighbouring patches.
"""

from __future__ import annotations

import zlib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from training.lexicon import (
    LANGUAGES,
    LETTERS,
    fold,
    frequencies,
    invented,
    lexicon,
    number,
    split_words,
    weight,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

SYMBOLS = "\0" + LETTERS + "0123456789ß.,/"  # \0: beyond the word's end, or unknown
REACH = 1
WINDOW = 2 * REACH + 1
DIMENSION = 512


@cache
def windows(word: str) -> np.ndarray:
    """Symbol indices (len(word), WINDOW) around every character of a folded word."""
    indices = [max(0, SYMBOLS.find(c)) for c in word]
    padded = np.array([0] * REACH + indices + [0] * REACH, dtype=np.int64)
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW).copy()


class CharCodes(nn.Module):
    """The network behind the codes: three characters -> ``dimension`` numbers."""

    def __init__(self, dimension: int = DIMENSION, hidden: int = 512) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(WINDOW * len(SYMBOLS), hidden, mode="sum")
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.out = nn.Linear(hidden, dimension, bias=False)
        self.scale = 0.5 * dimension**-0.5
        nn.init.normal_(self.table.weight, std=0.6)
        nn.init.normal_(self.out.weight, std=hidden**-0.5)
        offsets = torch.arange(WINDOW) * len(SYMBOLS)
        self.register_buffer("offsets", offsets, persistent=False)

    def forward(self, symbols: Tensor) -> Tensor:
        """Windows (n, WINDOW) -> codes of their middle characters (n, dimension)."""
        hidden = self.table(symbols + self.offsets) + self.bias
        return self.scale * self.out(nn.functional.gelu(hidden))

    def words(self, words: Sequence[str]) -> Tensor:
        """Codes (n, dimension) of folded words."""
        parts = [windows(w) for w in words]
        owner = torch.repeat_interleave(
            torch.arange(len(parts)), torch.tensor([len(p) for p in parts])
        )
        per_char = self(torch.from_numpy(np.concatenate(parts)))
        return per_char.new_zeros(len(parts), per_char.shape[1]).index_add(0, owner, per_char)


@cache
def _gram_counts() -> Counter[str]:
    counts: Counter[str] = Counter()
    for language in LANGUAGES:
        for word, freq in frequencies(language).items():
            for gram in _grams(fold(word)):
                counts[gram] += freq**0.5
    return counts


@cache
def _gram_total() -> float:
    return sum(_gram_counts().values())


def _grams(word: str) -> list[str]:
    marked = f"<{word}>"
    return [marked[i : i + n] for n in (3, 4, 5) for i in range(max(1, len(marked) - n + 1))] + [
        marked
    ]


@cache
def _profile(word: str) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Hashed n-grams of a word with their values; the values' norm is the word's weight."""
    counts = _gram_counts()
    values = Counter()
    for gram in _grams(word):
        rarity = np.log(_gram_total() / max(counts.get(gram, 1.0), 1.0))
        values[zlib.crc32(gram.encode()) % 1_000_003] += max(0.1, (rarity - 4) / 8)
    norm = np.sqrt(sum(v * v for v in values.values()))
    return tuple(values), tuple(weight(word) * v / norm for v in values.values())


def kernel(words: Sequence[str]) -> Tensor:
    """Wanted inner products (n, n) of the words' codes."""
    profiles = [_profile(w) for w in words]
    grams, column = np.unique(np.concatenate([p[0] for p in profiles]), return_inverse=True)
    row = np.repeat(np.arange(len(words)), [len(p[0]) for p in profiles])
    value = np.concatenate([p[1] for p in profiles]).astype(np.float32)
    matrix = np.zeros((len(words), len(grams)), np.float32)
    matrix[row, column] = value
    return torch.from_numpy(matrix @ matrix.T)


def draw_words(rng: np.random.Generator, count: int) -> list[str]:
    """Different folded words of all languages, with look-alikes, numbers and names."""
    words: list[str] = []
    for language in LANGUAGES:
        share = count // len(LANGUAGES)
        words += lexicon(language).draw(rng, share // 2, 0.5)
        words += lexicon(language).draw_content(rng, share // 4)
        start = int(rng.integers(len(_alphabetical()) - share))
        words += _alphabetical()[start : start + share // 8]
    words += [number(rng) for _ in range(count // 20)]
    words += [invented(rng) for _ in range(count // 20)]
    return list(dict.fromkeys(w for text in words for w in split_words(text)))


@cache
def _alphabetical() -> list[str]:
    return sorted({fold(w) for language in LANGUAGES for w in frequencies(language)})


def fit_codes(path: Path, steps: int = 1400, batch: int = 600, seed: int = 3) -> CharCodes:
    """Fit the codes to the kernel, or load them when ``path`` exists."""
    torch.manual_seed(seed)
    codes = CharCodes()
    start = 0
    if path.exists():
        state = torch.load(path, weights_only=True)
        codes.load_state_dict(state["model"])
        start = state["step"]
    if start >= steps:
        return codes.requires_grad_(False)
    rng = np.random.default_rng((seed, start))
    optimizer = torch.optim.Adam(codes.parameters(), lr=2e-3)
    for step in range(start, steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * max(0.05, 1 - step / steps)
        words = draw_words(rng, batch)
        vectors, wanted = codes.words(words), kernel(words)
        # pages are full of stop words: what these add by mistake counts most
        often = torch.tensor([1 + 5 * max(0.0, 1 - 2 * weight(w)) for w in words])
        error = (vectors @ vectors.T - wanted) * torch.outer(often, often).sqrt()
        diagonal = error.diagonal().square().mean()
        loss = error.square().sum(1).mean() + 3 * diagonal
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 49:
            print(
                f"codes {step + 1} loss {loss.item():.3f} diagonal {diagonal.item():.3f}",
                flush=True,
            )
        if step % 200 == 199 or step + 1 == steps:
            torch.save({"model": codes.state_dict(), "step": step + 1}, path)
    return codes.requires_grad_(False)


if __name__ == "__main__":
    import sys

    torch.set_num_threads(1)
    fit_codes(Path(sys.argv[1]))
