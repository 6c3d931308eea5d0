"""A rectangle on a page, in fractions of its sides. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from vdr_integrations.retrieval.regions import Region

__all__ = ["Box"]

_LEAST_SIDE = 0.005
"""Fraction of a page's side: 3 points on A4."""

_MARGIN = 0.02
"""Fraction of a page's side, added around a region, whose cells end in the middle of letters."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page as it is displayed, after cropping and rotation.

    Attributes:
        left: Fraction of the page's width, 0 to 1.
        top: Fraction of the page's height, from the upper edge.
        right: Fraction of the page's width, greater than ``left``.
        bottom: Fraction of the page's height, greater than ``top``.
    """

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        """Refuse a rectangle that is not on a page, or too small."""
        sides = (self.left, self.top, self.right, self.bottom)
        if not all(math.isfinite(side) and 0 <= side <= 1 for side in sides):
            raise OptionError(
                f"the sides of a region must be fractions of the page, from 0 to 1, found "
                f"{self._listed}."
            )
        if self.right - self.left < _LEAST_SIDE or self.bottom - self.top < _LEAST_SIDE:
            raise OptionError(
                f"a region needs left < right and top < bottom, at least {_LEAST_SIDE} apart, "
                f"found {self._listed}."
            )

    @classmethod
    def around(cls, region: Region) -> Self:
        """The box of a region with a small margin, within the page.

        On a page that is 100 times as long as wide, a cell alone is too thin for a box.
        """
        return cls(
            max(0.0, region.left - _MARGIN),
            max(0.0, region.top - _MARGIN),
            min(1.0, region.right + _MARGIN),
            min(1.0, region.bottom + _MARGIN),
        )

    def with_surroundings(self, *, width: float, height: float) -> Box:
        """The box enlarged around its centre to at least these fractions, within the page."""
        left, right = _grown(self.left, self.right, width)
        top, bottom = _grown(self.top, self.bottom, height)
        return Box(left, top, right, bottom)

    def within(self, width: float, height: float) -> tuple[float, float, float, float]:
        """Left, top, right and bottom on a page of this width and height, in the same unit."""
        return self.left * width, self.top * height, self.right * width, self.bottom * height

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The crop box of all pixels that the box touches on an image of this width and height."""
        left, top, right, bottom = self.within(width, height)
        box = (math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom))
        # At least one pixel in each direction.
        return (
            box[0],
            box[1],
            min(width, max(box[2], box[0] + 1)),
            min(height, max(box[3], box[1] + 1)),
        )

    def __str__(self) -> str:
        """``left 0.100, top 0.200, right 0.500, bottom 0.300``."""
        return self._listed

    @property
    def _listed(self) -> str:
        return (
            f"left {self.left:.3f}, top {self.top:.3f}, right {self.right:.3f}, "
            f"bottom {self.bottom:.3f}"
        )


def _grown(start: float, end: float, least: float) -> tuple[float, float]:
    if end - start >= least:
        return start, end
    middle = min(1 - least / 2, max(least / 2, (start + end) / 2))
    return max(0.0, middle - least / 2), min(1.0, middle + least / 2)
