"""How many pixels of a page a checkpoint reads. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Integral

from vdr_integrations.errors import OptionError, PageGeometryError

__all__ = ["MAX_ASPECT_RATIO", "MAX_PIXELS", "PixelBudget"]

MAX_ASPECT_RATIO = 200
"""Longest side over shortest; Qwen2-VL's own processor refuses more."""

MAX_PIXELS = 2**30
"""Of a page that is drawn: 3 GB of memory."""


@dataclass(frozen=True, slots=True)
class PixelBudget:
    """From ``min_visual_tokens`` to ``max_visual_tokens`` squares with sides of ``factor`` pixels.

    Attributes:
        max_visual_tokens: Upper limit; the vdr-2b-multi-v1 card recommends 768.
        min_visual_tokens: Lower limit; the card's ``min_pixels`` is one token.
        factor: Side in pixels of the square that one visual token covers: a 14-pixel patch
            merged 2 x 2 gives 28 (Qwen2-VL, Qwen2.5-VL), one of 16 pixels 32 (Qwen3-VL).

    Example:
        >>> budget = PixelBudget(max_visual_tokens=768)
        >>> budget.fill(height=842, width=595)  # A4, in points
        (896, 644)
        >>> budget.visual_tokens(height=896, width=644)
        736
    """

    max_visual_tokens: int = 768
    min_visual_tokens: int = 1
    factor: int = 28

    def __post_init__(self) -> None:
        """Refuse budgets that no image can meet, and those at which no page can be drawn."""
        for name in ("max_visual_tokens", "min_visual_tokens", "factor"):
            found: object = getattr(self, name)
            if isinstance(found, bool) or not isinstance(found, Integral):
                raise OptionError(
                    f"{name} of a pixel budget must be a whole number, found {found!r}."
                )
        if self.factor < 1 or not 1 <= self.min_visual_tokens <= self.max_visual_tokens:
            raise OptionError(
                f"PixelBudget needs 1 <= min_visual_tokens <= max_visual_tokens and factor >= 1; "
                f"found min_visual_tokens={self.min_visual_tokens}, "
                f"max_visual_tokens={self.max_visual_tokens}, factor={self.factor}."
            )
        if self.max_pixels > MAX_PIXELS:
            raise OptionError(
                f"a pixel budget of {self.max_visual_tokens} visual tokens of {self.factor} px is "
                f"{self.max_pixels} pixels; at most {MAX_PIXELS} can be drawn. Choose fewer visual "
                f"tokens; their side is 28 px, and 32 px for Qwen3-VL."
            )

    @property
    def max_pixels(self) -> int:
        """Upper limit in pixels."""
        return self.max_visual_tokens * self.factor**2

    @property
    def min_pixels(self) -> int:
        """Lower limit in pixels."""
        return self.min_visual_tokens * self.factor**2

    def for_both(self, other: PixelBudget) -> PixelBudget:
        """The budget to draw pages for this one and another: each enlarges images below its own.

        Args:
            other: One that differs in the lower limit only.
        """
        least = min(self.min_visual_tokens, other.min_visual_tokens)
        return replace(self, min_visual_tokens=least)

    def fit(self, *, height: float, width: float, source: str = "image") -> tuple[int, int]:
        """Size to which an image of ``height`` x ``width`` pixels is resized.

        This is the card's ``smart_resize``: both sides become multiples of ``factor``, the aspect
        ratio changes as little as that allows, and the size of an image inside the budget is only
        rounded, never enlarged. If the card would exceed the budget (very long images, or a lower
        limit close to the upper one), the upper limit holds.

        Args:
            height: Height in pixels, positive.
            width: Width in pixels, positive.
            source: Name of the image in error messages.

        Returns:
            ``(height, width)`` in pixels, multiples of ``factor``.

        Raises:
            PageGeometryError: The size is empty or not finite, or one side is more than 200 times
                the other.
        """
        self._check(height, width, source)
        factor = self.factor
        # Python rounds half to even, as the card and transformers do.
        fitted_height = max(factor, round(height / factor) * factor)
        fitted_width = max(factor, round(width / factor) * factor)
        if fitted_height * fitted_width < self.min_pixels:
            scale = math.sqrt(self.min_pixels / (height * width))
            fitted_height = math.ceil(height * scale / factor) * factor
            fitted_width = math.ceil(width * scale / factor) * factor
        if fitted_height * fitted_width > self.max_pixels:
            return self.fill(height=height, width=width, source=source)
        return fitted_height, fitted_width

    def fill(self, *, height: float, width: float, source: str = "page") -> tuple[int, int]:
        """Largest size of this shape inside the budget, at which a PDF page is rendered.

        A PDF page has a shape but no pixels, so it always gets the whole budget. For a page
        rendered far above the budget this is the same as :meth:`fit`.

        Args:
            height: Height in any unit, positive.
            width: Width in the same unit, positive.
            source: Name of the page in error messages.

        Returns:
            ``(height, width)`` in pixels, multiples of ``factor``.

        Raises:
            PageGeometryError: The size is empty or not finite, or one side is more than 200 times
                the other.
        """
        self._check(height, width, source)
        factor = self.factor
        shrink = math.sqrt((height * width) / self.max_pixels)
        filled_height = max(factor, math.floor(height / shrink / factor) * factor)
        filled_width = max(factor, math.floor(width / shrink / factor) * factor)
        # One side of a very long page is never less than one token, so the other must be shorter.
        longest = self.max_visual_tokens * factor
        if filled_height * filled_width > self.max_pixels:
            filled_height = min(filled_height, longest)
            filled_width = min(filled_width, longest)
        return filled_height, filled_width

    def visual_tokens(self, *, height: int, width: int) -> int:
        """Number of visual tokens of a size from :meth:`fit` or :meth:`fill`."""
        return (height // self.factor) * (width // self.factor)

    @staticmethod
    def _check(height: float, width: float, source: str) -> None:
        # Check the area too: with two huge or two tiny sides it becomes infinite or zero.
        if not (height > 0 and width > 0 and 0 < height * width < math.inf):
            raise PageGeometryError(
                f"its size is {width} x {height}; sides and area must be positive and finite. "
                f"Leave the page out, or repair its page box.",
                source=source,
            )
        ratio = max(height, width) / min(height, width)
        if ratio > MAX_ASPECT_RATIO:
            raise PageGeometryError(
                f"its sides are {width:g} x {height:g}, a ratio of {ratio:.0f}; "
                f"at most {MAX_ASPECT_RATIO} is allowed. Cut it into parts first.",
                source=source,
            )
