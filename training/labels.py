"""What a page says, per patch and per visual token: the supervision of every stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.codes import WINDOW, windows
from training.vision import CELL, PATCH

if TYPE_CHECKING:
    from training.canvas import Page

SLOTS = 4  # characters per half patch
EMPHASIS = 2.5  # a character counts by its size to this power; its area would be 2
BODY_SIZE = 11.0  # pixels; a character of this size counts once
HALVES = 2  # a patch is high enough for two lines of small print


def character_slots(page: Page) -> np.ndarray:
    """Classes (rows, columns, HALVES * SLOTS) of the characters centred in every patch.

    Each half (upper, lower) of a patch lists its characters from left to right; 0 is blank.
    """
    rows, columns = page.image.shape[0] // PATCH, page.image.shape[1] // PATCH
    slots = np.zeros((rows, columns, HALVES, SLOTS), np.uint8)
    chars = page.chars[np.lexsort((page.chars[:, 0], page.chars[:, 1]))]
    column = (chars[:, 0] // PATCH).astype(int)
    half_row = (chars[:, 1] // (PATCH / HALVES)).astype(int)
    inside = (column >= 0) & (column < columns) & (half_row >= 0) & (half_row < rows * HALVES)
    chars, column, half_row = chars[inside], column[inside], half_row[inside]
    bucket = half_row * columns + column
    order = np.argsort(bucket, kind="stable")
    bucket = bucket[order]
    first = np.r_[0, np.flatnonzero(np.diff(bucket)) + 1] if len(bucket) else np.zeros(0, int)
    rank = np.arange(len(bucket)) - np.repeat(first, np.diff(np.r_[first, len(bucket)]))
    keep = rank < SLOTS
    bucket, rank, kind = bucket[keep], rank[keep], chars[order, 2][keep].astype(np.uint8)
    half, place = np.divmod(bucket, columns)
    slots[half // HALVES, place, half % HALVES, rank] = kind
    return slots.reshape(rows, columns, HALVES * SLOTS)


class PageCodes:
    """The character windows of a page, with what each adds to which visual token."""

    def __init__(self, page: Page) -> None:
        words = page.words
        sizes = np.array([w.size for w in words])
        lengths = [len(w.xs) for w in words]
        none = np.zeros((0, WINDOW), np.int64)
        self.windows = np.concatenate([none, *(windows(w.text) for w in words)])
        self.x = np.concatenate([np.zeros(0), *(w.xs for w in words)])
        self.y = np.repeat([w.y for w in words], lengths)
        self.value = np.repeat((sizes / BODY_SIZE) ** EMPHASIS, lengths).astype(np.float32)

    def crop(
        self, top: int, left: int, height: int, width: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Windows, visual token indices and values of a crop that begins at ``top, left``."""
        x, y = self.x - left, self.y - top
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        cell = (y[inside] // CELL).astype(int) * (width // CELL) + (x[inside] // CELL).astype(int)
        return self.windows[inside], cell, self.value[inside]
